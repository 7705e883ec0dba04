// perf_event_open: CVE-2013-2094, CVE-2023-5717.
#include "escape.h"
#include <linux/perf_event.h>
int main(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE, .size = sizeof a, .config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1};
	HOST(syscall(SYS_perf_event_open, &a, 0, -1, -1, 0));
	escaped();
}
