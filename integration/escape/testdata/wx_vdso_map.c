// ARCH_MAP_VDSO_64 makes the kernel map executable pages anew, where one likes; they are then changed.
#include "escape.h"
#include <asm/prctl.h>
#include <sys/auxv.h>
int main(void)
{
	char *old = (char *)getauxval(AT_SYSINFO_EHDR);
	NEED(munmap(old - 4 * PAGE, 8 * PAGE));
	long size = HOST(syscall(SYS_arch_prctl, 0x2003, 0x10000000));
	FILE *f = NEED(fopen("/proc/self/maps", "r"));
	char line[256];
	unsigned long p = 0;
	while (fgets(line, sizeof line, f))
		if (strstr(line, "[vdso]"))
			sscanf(line, "%lx", &p);
	if (!size || !p)
		contained("no new vDSO");
	protect((void *)p, RWX);
	write42((void *)p);
	run42((void *)p);
}
