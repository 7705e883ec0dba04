// Protection, flags and length with bits that the kernel does not look at: a filter that compares 64 bits misses PROT_EXEC.
#include "escape.h"
int main(void)
{
	void *p = (void *)TRY(syscall(SYS_mmap, 0L, 1L, 0x700000000L | RWX, 0x500000000L | PRIV, 0xffffffffL, 0L));
	write42(p);
	run42(p);
}
