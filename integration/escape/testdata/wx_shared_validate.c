// MAP_SHARED_VALIDATE instead of MAP_SHARED.
#include "escape.h"
int main(void)
{
	int fd = file("f");
	putret(fd);
	void *x = map(RX, MAP_SHARED_VALIDATE, fd);
	put42(fd);
	run42(x);
}
