// The file looks read-only when it is mapped; a descriptor from before still writes it.
#include "escape.h"
int main(void)
{
	int fd = file("f");
	putret(fd);
	NEED(fchmod(fd, 0555));
	void *x = map(RX, MAP_PRIVATE, NEED(open("f", O_RDONLY)));
	put42(fd);
	run42(x);
}
