// A file in memory is fetched from a child with pidfd_getfd.
#include "escape.h"
int main(void)
{
	int p[2], fd;
	NEED(pipe(p));
	pid_t pid = NEED(fork());
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd = memfd(0);
		put42(fd);
		write(p[1], &fd, sizeof fd);
		pause();
	}
	close(p[1]);
	NEED(read(p[0], &fd, sizeof fd));
	int pidfd = NEED(syscall(SYS_pidfd_open, pid, 0));
	run42(map(RX, MAP_PRIVATE, TRY(syscall(SYS_pidfd_getfd, pidfd, fd, 0))));
}
