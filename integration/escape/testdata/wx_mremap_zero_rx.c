// The same the other way round: the executable mapping is doubled, and the double made writable.
#include "escape.h"
int main(void)
{
	void *p = map(RX, SHARED, -1);
	void *q = TRY(mremap(p, 0, PAGE, MREMAP_MAYMOVE));
	protect(q, RW);
	write42(q);
	run42(p);
}
