// The heap is made executable.
#include "escape.h"
int main(void)
{
	char *p = (char *)(((uintptr_t)TRY(sbrk(3 * PAGE)) + PAGE) & -PAGE);
	write42(p);
	protect(p, RX);
	run42(p);
}
