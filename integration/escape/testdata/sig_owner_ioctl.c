// The same by ioctl(FIOSETOWN) instead of fcntl.
#include "escape.h"
#include <asm/sockios.h>
int main(void)
{
	int s[2], pid = victim(), on = 1;
	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	HOST(ioctl(s[0], FIOSETOWN, &pid));
	NEED(ioctl(s[0], FIOASYNC, &on));
	NEED(write(s[1], "x", 1));
	usleep(50000);
	tried();
}
