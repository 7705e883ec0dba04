// The same with clone3, whose flags are in memory, where filters do not see them.
#include "escape.h"
#include <linux/sched.h>
int main(void)
{
	struct clone_args a = {.flags = CLONE_UNTRACED, .exit_signal = SIGCHLD};
	pid_t pid = HOST(syscall(SYS_clone3, &a, sizeof a));
	if (pid == 0) {
		void *p = map(RWX, PRIV, -1);
		write42(p);
		_exit(runs42(p) ? 42 : 0);
	}
	ended42(pid);
}
