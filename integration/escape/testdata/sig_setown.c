// F_SETOWN and O_ASYNC: the kernel sends the signal, when input comes (Landlock's scope covers it since Linux 6.12 by a hook of its own).
#include "escape.h"
int main(void)
{
	int s[2];
	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	HOST(fcntl(s[0], F_SETOWN, victim()));
	NEED(fcntl(s[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	NEED(write(s[1], "x", 1));
	usleep(50000);
	tried();
}
