// The same with PROT_GROWSUP, which x86-64 has no mapping for.
#include "escape.h"
int main(void)
{
	unsigned char code[64] __attribute__((aligned(64)));
	write42(code);
	HOST(mprotect((void *)((uintptr_t)code & -PAGE), PAGE, RWX | PROT_GROWSUP));
	run42(code);
}
