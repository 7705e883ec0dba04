// The program's own code becomes writable and executable again: what text relocations do.
#include "escape.h"
__attribute__((noinline, aligned(4096))) static int answer(void) { __asm__ volatile(".fill 4096, 1, 0x90"); return 0; }
int main(void)
{
	protect(answer, RW);
	write42(answer);
	protect(answer, RX);
	run42(answer);
}
