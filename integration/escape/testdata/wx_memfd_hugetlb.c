// A file in huge pages (MFD_HUGETLB) that is written and mapped executable.
#include "escape.h"
int main(void)
{
	int fd = HOST(memfd_create("code", MFD_HUGETLB));
	void *p = mmap(NULL, 2 << 20, RW, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		not_here("no huge pages");
	write42(p);
	run42(TRY(mmap(NULL, 2 << 20, RX, MAP_SHARED, fd, 0)));
}
