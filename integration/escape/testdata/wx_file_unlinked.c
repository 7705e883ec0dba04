// An unlinked file has no path that a rule could be about.
#include "escape.h"
int main(void)
{
	int fd = file("f");
	put42(fd);
	NEED(unlink("f"));
	run42(map(RX, MAP_PRIVATE, fd));
}
