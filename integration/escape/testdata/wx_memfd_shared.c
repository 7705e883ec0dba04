// The same, mapped shared.
#include "escape.h"
int main(void)
{
	int fd = memfd(0);
	put42(fd);
	run42(map(RX, MAP_SHARED, fd));
}
