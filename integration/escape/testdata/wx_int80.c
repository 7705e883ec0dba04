// The 32-bit calls of int 0x80 have other numbers: mprotect is 125, which is capget's (seccomp filters without an architecture check).
#include "escape.h"
static void fault(int sig) { errno = ENOSYS, (native() ? not_here : contained)("int 0x80"); }
int main(void)
{
	void *p = TRY(mmap(NULL, PAGE, RW, PRIV | MAP_32BIT, -1, 0));
	long r;
	write42(p);
	signal(SIGSEGV, fault); // the kernel may be without it
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(125), "b"(p), "c"(PAGE), "d"(RX) : "memory", "r8", "r9", "r10", "r11");
	if ((int)r < 0)
		errno = -(int)r, (native() ? not_here : contained)("int 0x80");
	run42(p);
}
