// A lease on a file, broken by opening it, signals its owner.
#include "escape.h"
int main(void)
{
	int fd = file("f");
	close(fd);
	fd = NEED(open("f", O_RDONLY));
	HOST(fcntl(fd, F_SETSIG, SIGUSR2));
	HOST(fcntl(fd, F_SETLEASE, F_RDLCK));
	HOST(fcntl(fd, F_SETOWN, victim()));
	open("f", O_WRONLY | O_NONBLOCK);
	usleep(50000);
	tried();
}
