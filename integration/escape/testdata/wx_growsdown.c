// A mapping that grows downwards is asked for with PROT_EXEC on the part that is not there yet.
#include "escape.h"
int main(void)
{
	char *p = TRY(mmap(NULL, 16 * PAGE, PROT_NONE, PRIV, -1, 0));
	TRY(mmap(p + 15 * PAGE, PAGE, RW, PRIV | MAP_FIXED | MAP_GROWSDOWN, -1, 0));
	NEED(munmap(p, 15 * PAGE));
	write42(p + 14 * PAGE); // it grows
	TRY(mprotect(p + 15 * PAGE, PAGE, RX | PROT_GROWSDOWN));
	run42(p + 14 * PAGE);
}
