// PR_SET_MM_EXE_FILE makes a written file the program's own, which may be mapped executable.
#include "escape.h"
int main(void)
{
	payload("evil");
	struct prctl_mm_map {
		uint64_t v[12];
		uint32_t auxv_size, exe_fd;
	};
	int fd = NEED(open("evil", O_RDONLY));
	if (prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, fd, 0, 0) && errno != EBUSY)
		(native() ? not_here : contained)("PR_SET_MM");
	put42(file("f"));
	EXEC42("/proc/self/exe");
}
