// The ring buffer of a performance counter is mapped executable.
#include "escape.h"
#include <linux/perf_event.h>
int main(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE, .size = sizeof a, .config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1};
	int fd = HOST(syscall(SYS_perf_event_open, &a, 0, -1, -1, 0));
	char *w = HOST(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
	HOST(mprotect(w, 2 * PAGE, RWX));
	write42(w + PAGE);
	run42(w + PAGE);
}
