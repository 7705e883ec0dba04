// The vDSO is written through /proc/self/mem.
#include "escape.h"
#include <sys/auxv.h>
int main(void)
{
	void *p = (void *)getauxval(AT_SYSINFO_EHDR);
	if (!p)
		not_here("no vDSO");
	poke42("/proc/self/mem", p);
	run42(p);
}
