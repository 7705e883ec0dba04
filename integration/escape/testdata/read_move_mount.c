// The same, attached in the current directory with move_mount.
#include "escape.h"
int main(void)
{
	namespaces(CLONE_NEWNS);
	NEED(mkdir("m", 0755));
	int fd = TRY(syscall(SYS_open_tree, AT_FDCWD, env("SECRET_DIR"), 1));
	TRY(syscall(SYS_move_mount, fd, "", AT_FDCWD, "m", 4 /* MOVE_MOUNT_F_EMPTY_PATH */));
	see(TRY(open("m/secret", O_RDONLY)));
}
