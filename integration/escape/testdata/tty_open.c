// TIOCSTI on /dev/tty, opened anew.
#include "escape.h"
#include <poll.h>
int main(void)
{
	int fd = TRY(open("/dev/tty", O_RDWR));
	HOST(ioctl(fd, TIOCSTI, "\n"));
	if (poll(&(struct pollfd){0, POLLIN}, 1, 1000) == 1)
		escaped();
	contained("nothing was typed");
}
