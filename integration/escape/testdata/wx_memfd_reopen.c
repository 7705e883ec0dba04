// Reopened read-only through /proc/self/fd, so that the descriptor that is mapped cannot write.
#include "escape.h"
int main(void)
{
	int fd = memfd(0);
	put42(fd);
	int ro = HOST(open(join("/proc/self/fd/", (char[]){'0' + fd, 0}), O_RDONLY));
	close(fd);
	run42(map(RX, MAP_PRIVATE, ro));
}
