// /dev/zero: a file that is anonymous memory.
#include "escape.h"
int main(void)
{
	int fd = HOST(open("/dev/zero", O_RDWR));
	void *p = map(RWX, MAP_PRIVATE, fd);
	write42(p);
	run42(p);
}
