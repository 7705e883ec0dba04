// The same for brk: the heap becomes executable.
#include "escape.h"
int main(void)
{
	TRY(personality(READ_IMPLIES_EXEC));
	char *p = TRY(sbrk(2 * PAGE));
	write42(p + PAGE);
	run42(p + PAGE);
}
