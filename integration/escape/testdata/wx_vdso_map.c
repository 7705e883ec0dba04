// ARCH_MAP_VDSO_64 makes the kernel map executable pages anew, where one likes; they are then changed.
#include "escape.h"
#include <asm/prctl.h>
static void vdso(unsigned long *from, unsigned long *to) // with the pages of data before it
{
	char line[256];
	FILE *f = NEED(fopen("/proc/self/maps", "r"));
	for (*from = 0; fgets(line, sizeof line, f);)
		if (strstr(line, "[vvar") || strstr(line, "[vdso]"))
			sscanf(line, *from ? "%*x-%lx" : "%lx-%lx", *from ? to : from, to);
	fclose(f);
}
int main(void)
{
	unsigned long from, to;
	vdso(&from, &to);
	NEED(munmap((void *)from, to - from));
	HOST(syscall(SYS_arch_prctl, 0x2003, 0x10000000L));
	vdso(&from, &to);
	from = to - 2 * PAGE; // without its data
	TRY(mprotect((void *)from, to - from, RW));
	write42((void *)from);
	TRY(mprotect((void *)from, to - from, RX));
	run42((void *)from);
}
