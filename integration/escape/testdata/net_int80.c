// socketcall (102) by int 0x80 makes any socket.
#include "escape.h"
static void fault(int sig) { errno = ENOSYS, (native() ? not_here : contained)("int 0x80"); }
int main(void)
{
	unsigned *args = TRY(mmap(NULL, PAGE, RW, PRIV | MAP_32BIT, -1, 0));
	int r;
	args[0] = AF_INET, args[1] = SOCK_STREAM, args[2] = 0;
	signal(SIGSEGV, fault);
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(102), "b"(1), "c"(args) : "memory", "r8", "r9", "r10", "r11");
	if (r < 0)
		errno = -r, contained("socketcall");
	escaped();
}
