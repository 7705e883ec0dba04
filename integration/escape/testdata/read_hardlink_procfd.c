// A hard link made with linkat(AT_SYMLINK_FOLLOW) from /proc/self/fd.
#include "escape.h"
int main(void)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", TRY(open(env("SECRET"), O_PATH)));
	TRY(linkat(AT_FDCWD, path, AT_FDCWD, "link", AT_SYMLINK_FOLLOW));
	see(TRY(open("link", O_RDONLY)));
}
