// A child made with CLONE_PARENT, with an exit signal of one's choice, is the child of one's parent.
#include "escape.h"
int main(void)
{
	pid_t parent = getppid();
	pid_t pid = TRY(syscall(SYS_clone, CLONE_PARENT | SIGUSR1, 0, 0, 0, 0));
	if (pid == 0)
		_exit(getppid() == parent ? 0 : 1);
	usleep(50000);
	tried();
}
