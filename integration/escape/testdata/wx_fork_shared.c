// Memory shared with a child: it stays writable there and becomes executable here.
#include "escape.h"
int main(void)
{
	void *p = map(RW, SHARED, -1);
	protect(p, RX);
	pid_t pid = NEED(fork());
	if (pid == 0) {
		protect(p, RW);
		write42(p);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	if (status)
		_exit(1);
	run42(p);
}
