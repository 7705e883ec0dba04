// A file in /dev/shm, which is writable on most hosts and often not mounted noexec.
#include "escape.h"
int main(void)
{
	char path[] = "/dev/shm/runsbx-escape-XXXXXX";
	int fd = HOST(mkstemp(path));
	unlink(path);
	put42(fd);
	run42(map(RX, MAP_PRIVATE, fd));
}
