// fallocate(COLLAPSE_RANGE) moves a later page of the file under the executable mapping; nothing is written.
#include "escape.h"
int main(void)
{
	int fd = file("f");
	putret(fd);
	TRY(pwrite(fd, code42, sizeof code42, PAGE));
	NEED(ftruncate(fd, 3 * PAGE));
	void *x = map(RX, MAP_SHARED, NEED(open("f", O_RDONLY)));
	HOST(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE));
	run42(x);
}
