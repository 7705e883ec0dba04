// O_TMPFILE: a file that never had a name.
#include "escape.h"
int main(void)
{
	int fd = HOST(open(".", O_TMPFILE | O_RDWR, 0700));
	put42(fd);
	run42(map(RX, MAP_PRIVATE, fd));
}
