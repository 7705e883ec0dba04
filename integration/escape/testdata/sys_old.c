// Calls that no program needs any more: uselib, sysfs, ustat, nfsservctl, vserver, modify_ldt's kin.
#include "escape.h"
int main(void)
{
	struct { int f[8]; } u;
	if (syscall(SYS_ustat, 0xffffffffUL, &u) == -1 && errno != EINVAL && syscall(SYS_sysfs, 3) == -1)
		(native() ? not_here : contained)("ustat, sysfs");
	escaped();
}
