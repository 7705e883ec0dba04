// Capabilities that let root out of a container: CAP_SYS_ADMIN, PTRACE, MODULE, RAWIO, NET_ADMIN, DAC_READ_SEARCH, MKNOD, SYS_RESOURCE.
#include "escape.h"
int main(void)
{
	unsigned long caps = 0, out = 1UL << 21 | 1UL << 19 | 1UL << 16 | 1UL << 17 | 1UL << 12 | 1UL << 2 | 1UL << 27 | 1UL << 24;
	char line[256];
	FILE *f = NEED(fopen("/proc/self/status", "r"));
	while (fgets(line, sizeof line, f))
		sscanf(line, "CapEff: %lx", &caps);
	errno = 0;
	if (caps & out)
		escaped();
	(native() ? not_here : contained)("none of them");
}
