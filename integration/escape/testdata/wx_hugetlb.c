// Huge pages, anonymous.
#include "escape.h"
int main(void)
{
	void *p = mmap(NULL, 2 << 20, RW, PRIV | MAP_HUGETLB, -1, 0);
	if (p == MAP_FAILED)
		not_here("no huge pages");
	write42(p);
	TRY(mprotect(p, 2 << 20, RX));
	run42(p);
}
