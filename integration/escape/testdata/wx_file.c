// A file in the current directory is written and mapped executable: the gap of every W^X that looks at anonymous memory only.
#include "escape.h"
int main(void)
{
	int fd = file("f");
	put42(fd);
	close(fd);
	run42(map(RX, MAP_PRIVATE, NEED(open("f", O_RDONLY))));
}
