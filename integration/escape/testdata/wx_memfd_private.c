// A file in memory, mapped private and executable: the usual way around W^X (systemd #11473).
#include "escape.h"
int main(void)
{
	int fd = memfd(0);
	put42(fd);
	run42(map(RX, MAP_PRIVATE, fd));
}
