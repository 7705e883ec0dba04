/* A pidfd says that a child has ended, and a wait that does not block finds it at once. */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

int main(void)
{
	int missed = 0;
	for (int i = 0; i < 300; i++) {
		pid_t child = fork();
		if (child == 0)
			_exit(i & 63);
		struct pollfd p = {.fd = syscall(SYS_pidfd_open, child, 0), .events = POLLIN};
		if (p.fd < 0 || poll(&p, 1, -1) != 1)
			return 1;
		siginfo_t si = {0};
		int status = 0;
		if (i & 1) {
			if (waitid(P_PIDFD, p.fd, &si, WEXITED | WNOHANG) != 0)
				return 2;
			missed += si.si_pid != child;
			if (si.si_pid != child)
				waitpid(child, &status, 0);
		} else if (waitpid(child, &status, WNOHANG) == 0) {
			missed++;
			waitpid(child, &status, 0);
		} else if (WEXITSTATUS(status) != (i & 63)) {
			return 3;
		}
		close(p.fd);
	}
	printf("missed %d\n", missed);
	return 0;
}
