// mount, in the caller's own mount namespace: a tmpfs on a new directory.
#include "escape.h"
int main(void)
{
	NEED(mkdir("m", 0755));
	HOST(mount("none", "m", "tmpfs", 0, NULL));
	umount2("m", MNT_DETACH);
	escaped();
}
