// A file of 100 GiB (sparse here), by ftruncate and by writing far beyond its end.
#include "escape.h"
int main(void)
{
	int fd = file("big");
	off_t size = 100L << 30;
	signal(SIGXFSZ, SIG_IGN);
	int grown = ftruncate(fd, size) == 0 || pwrite(fd, "x", 1, size) == 1;
	int e = errno;
	unlink("big");
	errno = e;
	if (grown)
		escaped();
	contained("ftruncate");
}
