// A program in memory, executed by execveat(AT_EMPTY_PATH): "fileless" malware, around noexec mounts (MITRE T1620).
#include "escape.h"
int main(void)
{
	int fd = memfd(MFD_CLOEXEC);
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	payload(path);
	pid_t pid = NEED(fork());
	if (pid == 0)
		syscall(SYS_execveat, fd, "", (char *[]){"code", NULL}, environ, AT_EMPTY_PATH), _exit(errno);
	ended42(pid);
}
