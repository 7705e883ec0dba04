// A child asks to be traced by its parent, who would then see its stops in place of the supervisor.
#include "escape.h"
int main(void)
{
	int status;
	pid_t pid = NEED(fork());
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME))
			_exit(errno);
		raise(SIGSTOP);
		_exit(0);
	}
	NEED(waitpid(pid, &status, WUNTRACED));
	if (WIFSTOPPED(status)) {
		ptrace(PTRACE_DETACH, pid, 0, 0);
		escaped();
	}
	errno = WEXITSTATUS(status), contained("PTRACE_TRACEME");
}
