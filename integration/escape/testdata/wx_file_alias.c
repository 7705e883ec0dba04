// One mapping of the file is shared and writable, another private and executable: not yet copied, it shows what is written.
#include "escape.h"
int main(void)
{
	int fd = file("f");
	putret(fd);
	void *w = map(RW, MAP_SHARED, fd), *x = map(RX, MAP_PRIVATE, fd);
	write42(w);
	run42(x);
}
