// A directory's changes (F_NOTIFY) signal its owner.
#include "escape.h"
int main(void)
{
	int fd = NEED(open(".", O_RDONLY | O_DIRECTORY));
	HOST(fcntl(fd, F_SETSIG, SIGUSR2));
	HOST(fcntl(fd, F_NOTIFY, DN_CREATE | DN_MULTISHOT));
	HOST(fcntl(fd, F_SETOWN, victim()));
	close(file("f"));
	usleep(50000);
	tried();
}
