// MAP_DROPPABLE (Linux 6.11), a type of mapping that old rules do not know.
#include "escape.h"
int main(void)
{
	void *p = mmap(NULL, PAGE, RW, MAP_ANONYMOUS | 0x08, -1, 0);
	if (p == MAP_FAILED)
		not_here("MAP_DROPPABLE");
	write42(p);
	protect(p, RX);
	run42(p);
}
