// The mapped file is written by splice from a pipe.
#include "escape.h"
int main(void)
{
	int fd = file("f"), p[2];
	putret(fd);
	void *x = map(RX, MAP_PRIVATE, NEED(open("f", O_RDONLY)));
	NEED(pipe(p));
	NEED(write(p[1], code42, sizeof code42));
	loff_t at = 0;
	HOST(splice(p[0], NULL, fd, &at, sizeof code42, 0));
	run42(x);
}
