// The file in memory is mapped executable while it is still empty of code, and written afterwards.
#include "escape.h"
int main(void)
{
	int fd = memfd(0);
	putret(fd);
	void *x = map(RX, MAP_PRIVATE, fd);
	put42(fd);
	run42(x);
}
