// The same with a shared mapping of a read-only descriptor, which can never become writable.
#include "escape.h"
int main(void)
{
	int fd = file("f");
	putret(fd);
	void *x = map(RX, MAP_SHARED, NEED(open("f", O_RDONLY)));
	put42(fd);
	run42(x);
}
