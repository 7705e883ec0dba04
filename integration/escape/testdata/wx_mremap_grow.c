// A mapping of a file is grown over more of the file than was looked at when it was mapped executable.
#include "escape.h"
int main(void)
{
	int fd = file("f");
	putret(fd);
	TRY(pwrite(fd, code42, sizeof code42, PAGE));
	void *p = map(RX, MAP_PRIVATE, fd);
	char *q = TRY(mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	run42(q + PAGE);
}
