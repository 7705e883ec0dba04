// int 0x80 with the upper halves of all registers set: the kernel cuts them off, a filter or a model may not.
#include "escape.h"
static void fault(int sig) { errno = ENOSYS, (native() ? not_here : contained)("int 0x80"); }
int main(void)
{
	long r, high = 0xf00000000L;
	void *p = TRY(mmap(NULL, PAGE, RW, PRIV | MAP_32BIT, -1, 0));
	write42(p);
	signal(SIGSEGV, fault);
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(high | 125), "b"(high | (long)p), "c"(high | PAGE),
		"d"(high | RX) : "memory", "r8", "r9", "r10", "r11");
	if ((int)r < 0)
		errno = -(int)r, (native() ? not_here : contained)("int 0x80");
	run42(p);
}
