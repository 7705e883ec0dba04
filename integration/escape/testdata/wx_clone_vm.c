// A child in the same address space, which is no thread (CLONE_VM alone), changes the protection.
#include "escape.h"
static void *p;
static int child(void *arg) { return mprotect(p, PAGE, RX) ? errno : 0; }
int main(void)
{
	char *stack = TRY(mmap(NULL, 16 * PAGE, RW, PRIV, -1, 0));
	int status;
	p = written();
	pid_t pid = NEED(clone(child, stack + 16 * PAGE, CLONE_VM | SIGCHLD, NULL));
	waitpid(pid, &status, 0);
	if (status)
		errno = WEXITSTATUS(status), contained("mprotect PROT_EXEC");
	run42(p);
}
