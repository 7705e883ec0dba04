// The same with mmap2 (192).
#include "escape.h"
static void fault(int sig) { errno = ENOSYS, (native() ? not_here : contained)("int 0x80"); }
int main(void)
{
	int r;
	signal(SIGSEGV, fault);
	__asm__ volatile("push %%rbp; xor %%ebp, %%ebp; int $0x80; pop %%rbp" : "=a"(r)
		: "a"(192), "b"(0), "c"(PAGE), "d"(RWX), "S"(PRIV), "D"(-1) : "memory", "r8", "r9", "r10", "r11");
	if (r < 0 && r > -4096)
		errno = -r, (native() ? not_here : contained)("int 0x80");
	write42((void *)(uintptr_t)(unsigned)r);
	run42((void *)(uintptr_t)(unsigned)r);
}
