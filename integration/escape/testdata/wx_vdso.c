// The vDSO is no file and not anonymous: it is made writable, changed and called.
#include "escape.h"
#include <sys/auxv.h>
int main(void)
{
	char *p = (char *)getauxval(AT_SYSINFO_EHDR);
	if (!p)
		not_here("no vDSO");
	protect(p, RW);
	write42(p);
	protect(p, RX);
	run42(p);
}
