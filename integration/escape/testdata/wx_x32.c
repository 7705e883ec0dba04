// The x32 ABI: the same calls with bit 30 set (lists of numbers that forget it, seccomp(2) NOTES).
#include "escape.h"
int main(void)
{
	void *p = written();
	HOST(syscall(0x40000000 | SYS_mprotect, p, PAGE, RX));
	run42(p);
}
