// clone3's flags are in memory: another thread sets CLONE_UNTRACED after they were looked at.
#include "escape.h"
#include <linux/sched.h>
static struct clone_args a = {.exit_signal = SIGCHLD};
static void *swapper(void *arg)
{
	for (volatile uint64_t *f = (void *)&a.flags;;)
		*f = CLONE_UNTRACED, *f = 0;
	return NULL;
}
int main(void)
{
	int status;
	racer(swapper, NULL);
	for (int i = 0; i < rounds() / 10; i++) {
		pid_t pid = HOST(syscall(SYS_clone3, &a, sizeof a));
		if (pid == 0) {
			void *p = mmap(NULL, PAGE, RWX, PRIV, -1, 0);
			if (p == MAP_FAILED)
				_exit(errno);
			write42(p);
			_exit(runs42(p) ? 42 : 0);
		}
		if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42)
			escaped();
	}
	errno = EAGAIN, contained("every round");
}
