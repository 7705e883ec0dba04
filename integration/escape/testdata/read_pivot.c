// pivot_root onto a bind mount of the home directory.
#include "escape.h"
int main(void)
{
	namespaces(CLONE_NEWNS);
	char *dir = env("SECRET_DIR");
	TRY(mount(dir, dir, NULL, MS_BIND, NULL));
	NEED(chdir(dir));
	TRY(syscall(SYS_pivot_root, ".", "."));
	TRY(umount2(".", MNT_DETACH));
	see(TRY(open("/secret", O_RDONLY)));
}
