// The same with PROT_GROWSDOWN, as glibc did for libraries that want executable stacks (GLIBC_TUNABLES rtld.execstack).
#include "escape.h"
int main(void)
{
	unsigned char code[64] __attribute__((aligned(64)));
	write42(code);
	protect((void *)((uintptr_t)code & -PAGE), RWX | PROT_GROWSDOWN);
	run42(code);
}
