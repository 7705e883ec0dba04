// The same with bits above 32 in the number of the call: the filters of snap and Flatpak compared 64 bits (CVE-2019-7303, CVE-2019-10063).
#include "escape.h"
#include <poll.h>
int main(void)
{
	for (const char *c = "echo hit\n"; *c; c++)
		HOST(syscall(SYS_ioctl, 0, TIOCSTI | 1L << 32, c));
	if (poll(&(struct pollfd){0, POLLIN}, 1, 1000) == 1)
		escaped();
	contained("nothing was typed");
}
