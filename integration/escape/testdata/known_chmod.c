// chmod of a file outside: Landlock does not cover it; and chown, utimensat and setxattr.
#include "escape.h"
#include <sys/xattr.h>
int main(void)
{
	char *f = env("VICTIM_FILE");
	dprintf(1, "chmod %s, ", chmod(f, 0600) ? strerrorname_np(errno) : "done");
	dprintf(1, "chown %s, ", chown(f, -1, -1) ? strerrorname_np(errno) : "done");
	dprintf(1, "utimensat %s, ", utimensat(AT_FDCWD, f, NULL, 0) ? strerrorname_np(errno) : "done");
	dprintf(1, "setxattr %s\n", setxattr(f, "user.hit", "1", 1, 0) ? strerrorname_np(errno) : "done");
	return 1;
}
