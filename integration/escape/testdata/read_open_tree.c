// open_tree(OPEN_TREE_CLONE), a mount that is nowhere: the new mount calls are missing in old lists.
#include "escape.h"
int main(void)
{
	namespaces(CLONE_NEWNS);
	int fd = TRY(syscall(SYS_open_tree, AT_FDCWD, env("SECRET_DIR"), 1 /* OPEN_TREE_CLONE */));
	see(TRY(openat(fd, "secret", O_RDONLY)));
}
