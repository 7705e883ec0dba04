// fsopen and fsmount make a new proc, where nobody has forbidden anything.
#include "escape.h"
int main(void)
{
	namespaces(CLONE_NEWNS | CLONE_NEWPID);
	if (fork() == 0) {
		int fs = HOST(syscall(SYS_fsopen, "proc", 0));
		HOST(syscall(SYS_fsconfig, fs, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0));
		int m = HOST(syscall(SYS_fsmount, fs, 0, 0));
		char *path = join("self/root", env("SECRET"));
		see(TRY(openat(m, path, O_RDONLY)));
	}
	int status;
	wait(&status);
	return WEXITSTATUS(status);
}
