// remap_file_pages puts a written page of a shared file under an executable address.
#include "escape.h"
int main(void)
{
	int fd = file("f");
	putret(fd);
	TRY(pwrite(fd, code42, sizeof code42, PAGE));
	NEED(ftruncate(fd, 2 * PAGE));
	void *x = map(RX, MAP_SHARED, fd);
	HOST(remap_file_pages(x, PAGE, 0, 1, 0));
	run42(x);
}
