// /proc/self/map_files opens what is mapped executable, for writing.
#include "escape.h"
int main(void)
{
	int fd = memfd(0);
	char path[96];
	putret(fd);
	char *x = map(RX, MAP_SHARED, fd);
	close(fd);
	snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (long)x, (long)x + PAGE);
	put42(HOST(open(path, O_RDWR)));
	run42(x);
}
