// A far jump into 32-bit code (segment 0x23), where the number of mprotect is another one and the architecture of the call changes.
#include "escape.h"
int main(void)
{
	unsigned char *p = TRY(mmap(NULL, PAGE, RW, PRIV | MAP_32BIT, -1, 0));
	int r;
	write42(p);
	// 32-bit code would have to be executable below 4 GiB: here only its effect is used, by int 0x80 from 64-bit code with
	// the upper halves of the registers set, which the 32-bit entry cuts off.
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(0xffffffff00000000L | 125), "b"(0xffffffff00000000L | (long)p), "c"(0xf00000000L | PAGE),
		"d"(0xf00000000L | RX) : "memory", "r8", "r9", "r10", "r11");
	if (r < 0)
		errno = -r, (native() ? not_here : contained)("int 0x80");
	run42(p);
}
