// SIGURG for a socket's out-of-band data.
#include "escape.h"
int main(void)
{
	int s[2];
	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	HOST(fcntl(s[0], F_SETOWN, victim()));
	HOST(send(s[1], "x", 1, MSG_OOB));
	usleep(50000);
	tried();
}
