// mprotect of a range that begins in innocent pages and only ends in the written one.
#include "escape.h"
int main(void)
{
	char *p = mmap(NULL, 3 * PAGE, PROT_NONE, PRIV, -1, 0);
	protect(p + 2 * PAGE, RW);
	write42(p + 2 * PAGE);
	TRY(mprotect(p, 3 * PAGE, RX));
	run42(p + 2 * PAGE);
}
