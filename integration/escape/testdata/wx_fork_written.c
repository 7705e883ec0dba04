// The parent writes, the child, whose address space is a new one, makes it executable.
#include "escape.h"
int main(void)
{
	void *p = written();
	pid_t pid = NEED(fork());
	if (pid == 0)
		protect(p, RX), _exit(runs42(p) ? 42 : 0);
	ended42(pid);
}
