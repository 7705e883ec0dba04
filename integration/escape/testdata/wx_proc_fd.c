// A file in memory of a child is opened through /proc/PID/fd.
#include "escape.h"
int main(void)
{
	int p[2], fd;
	char path[64];
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
	snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
	run42(map(RX, MAP_PRIVATE, TRY(open(path, O_RDONLY))));
}
