// perf_event_open on a process outside.
#include "escape.h"
#include <linux/perf_event.h>
int main(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE, .size = sizeof a, .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1};
	HOST(syscall(SYS_perf_event_open, &a, victim(), -1, -1, 0));
	escaped();
}
