// Whatever the program has open besides the standard streams: descriptors of the supervisor, or of the caller.
#include "escape.h"
int main(void)
{
	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			escaped();
	errno = EBADF, contained("none");
}
