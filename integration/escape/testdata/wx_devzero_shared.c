// /dev/zero mapped shared, doubled with mremap.
#include "escape.h"
int main(void)
{
	int fd = HOST(open("/dev/zero", O_RDWR));
	void *p = map(RW, MAP_SHARED, fd), *q = TRY(mremap(p, 0, PAGE, MREMAP_MAYMOVE));
	protect(q, RX);
	write42(p);
	run42(q);
}
