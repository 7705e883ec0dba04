// mremap with an old size of 0 makes a second mapping of shared memory: one stays writable, the other becomes executable.
#include "escape.h"
int main(void)
{
	void *p = map(RW, SHARED, -1);
	void *q = TRY(mremap(p, 0, PAGE, MREMAP_MAYMOVE));
	protect(q, RX);
	write42(p);
	run42(q);
}
