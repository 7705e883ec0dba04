// The path that execve is given is changed in memory by another thread.
#include "escape.h"
static char path[32] = "/bin/true";
static void *swapper(void *arg)
{
	for (;;)
		memcpy(path, "./evil\0\0\0", 9), memcpy(path, "/bin/true", 9);
	return NULL;
}
int main(void)
{
	int status;
	payload("evil");
	racer(swapper, NULL);
	for (int i = 0; i < rounds() / 10; i++) {
		pid_t pid = NEED(vfork());
		if (pid == 0)
			execl(path, "prog", NULL), _exit(1);
		waitpid(pid, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 42)
			escaped();
	}
	errno = EAGAIN, contained("every round");
}
