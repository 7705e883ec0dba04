// fexecve of a written file that is already unlinked.
#include "escape.h"
int main(void)
{
	payload("evil");
	int fd = NEED(open("evil", O_RDONLY | O_CLOEXEC));
	unlink("evil");
	pid_t pid = NEED(fork());
	if (pid == 0)
		syscall(SYS_execveat, fd, "", (char *[]){"evil", NULL}, environ, AT_EMPTY_PATH), _exit(errno);
	ended42(pid);
}
