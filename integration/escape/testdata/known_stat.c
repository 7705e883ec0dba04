// What a file outside is, is told: stat, access, readlink, its size and times; Landlock does not cover it.
#include "escape.h"
int main(void)
{
	struct stat st;
	dprintf(1, "stat %s, ", stat(env("SECRET"), &st) ? strerrorname_np(errno) : "done");
	dprintf(1, "access %s, ", access(env("SECRET"), R_OK) ? strerrorname_np(errno) : "done");
	dprintf(1, "opendir %s, ", opendir(env("SECRET_DIR")) ? "done" : strerrorname_np(errno));
	dprintf(1, "chdir %s\n", chdir(env("SECRET_DIR")) ? strerrorname_np(errno) : "done");
	return 1;
}
