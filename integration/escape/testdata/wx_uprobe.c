// A uprobe writes a breakpoint into the pages of a file that others have mapped executable.
#include "escape.h"
#include <linux/perf_event.h>
__attribute__((noinline, aligned(16))) static int answer(void) { __asm__ volatile("nop"); return 42; }
int main(void)
{
	struct perf_event_attr a = {.size = sizeof a};
	Dl_info info;
	FILE *f = HOST(fopen("/sys/bus/event_source/devices/uprobe/type", "r"));
	if (!f || fscanf(f, "%u", &a.type) != 1 || !dladdr(file_page(), &info))
		(native() ? not_here : contained)("no uprobes");
	int fd = NEED(open("/proc/self/exe", O_RDONLY));
	char *copy = map(RX, MAP_PRIVATE, fd), path[32] = "/proc/self/exe";
	a.config1 = (long)path, a.config2 = 0x1000 + ((long)answer & 0xfff);
	copy = TRY(mmap(NULL, 16 * PAGE, RX, MAP_PRIVATE, fd, 0));
	unsigned char before = copy[a.config2];
	HOST(syscall(SYS_perf_event_open, &a, getpid(), -1, -1, 0));
	if ((unsigned char)copy[a.config2] != before)
		escaped();
	(native() ? not_here : contained)("the code is unchanged");
}
