// The protection's upper 32 bits are set: the kernel takes an unsigned long, a filter may compare only half of it.
#include "escape.h"
int main(void)
{
	void *p = written();
	if (syscall(SYS_mprotect, p, PAGE, 0x100000000L | RX))
		HOST(syscall(SYS_mprotect, p, (1L << 32 | PAGE) - (1L << 32), RX | 0L));
	run42(p);
}
