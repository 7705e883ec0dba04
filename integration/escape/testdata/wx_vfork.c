// The same in a vfork child.
#include "escape.h"
int main(void)
{
	void *volatile p = written();
	int status;
	pid_t pid = vfork();
	if (pid == 0)
		_exit(mprotect(p, PAGE, RX) ? errno : 0);
	waitpid(pid, &status, 0);
	if (status)
		errno = WEXITSTATUS(status), contained("mprotect PROT_EXEC");
	run42(p);
}
