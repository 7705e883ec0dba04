// The same with F_SETOWN_EX, a thread, and another signal (F_SETSIG).
#include "escape.h"
int main(void)
{
	int s[2];
	struct f_owner_ex o = {F_OWNER_TID, victim()};
	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	HOST(fcntl(s[0], F_SETOWN_EX, &o));
	NEED(fcntl(s[0], F_SETSIG, SIGUSR2));
	NEED(fcntl(s[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	NEED(write(s[1], "x", 1));
	usleep(50000);
	tried();
}
