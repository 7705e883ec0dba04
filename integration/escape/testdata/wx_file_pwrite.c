// Mapped executable first, and written by pwrite through another descriptor: the page cache changes under the mapping.
#include "escape.h"
int main(void)
{
	int fd = file("f");
	putret(fd);
	void *x = map(RX, MAP_PRIVATE, NEED(open("f", O_RDONLY)));
	put42(fd);
	run42(x);
}
