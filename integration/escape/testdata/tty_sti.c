// TIOCSTI types a command into the caller's terminal (CVE-2017-5226 of bubblewrap, CVE-2016-2568 of pkexec).
#include "escape.h"
#include <poll.h>
int main(void)
{
	for (const char *c = "echo hit\n"; *c; c++)
		HOST(ioctl(0, TIOCSTI, c));
	if (poll(&(struct pollfd){0, POLLIN}, 1, 1000) == 1)
		escaped();
	contained("nothing was typed");
}
