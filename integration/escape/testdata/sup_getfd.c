// The supervisor's descriptors, among them the listener of the filter, by pidfd_getfd.
#include "escape.h"
int main(void)
{
	int pidfd = TRY(syscall(SYS_pidfd_open, supervisor(), 0));
	for (int fd = 0; fd < 64; fd++)
		if (syscall(SYS_pidfd_getfd, pidfd, fd, 0) >= 0)
			escaped();
	contained("pidfd_getfd");
}
