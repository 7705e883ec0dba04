// The stack is made executable by mprotect.
#include "escape.h"
int main(void)
{
	unsigned char code[64] __attribute__((aligned(64)));
	write42(code);
	protect((void *)((uintptr_t)code & -PAGE), RWX);
	run42(code);
}
