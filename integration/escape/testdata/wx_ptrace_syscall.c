// A tracer of the program's own changes a child's innocent call into mprotect after the filter has looked at it (seccomp before Linux 4.8).
#include "escape.h"
int main(void)
{
	void *p = written();
	pid_t pid = NEED(fork());
	struct user_regs_struct r;
	if (pid == 0) {
		ptrace(PTRACE_TRACEME);
		raise(SIGSTOP);
		syscall(SYS_getppid, p, PAGE, RX);
		_exit(runs42(p) ? 42 : 0);
	}
	waitpid(pid, NULL, WUNTRACED);
	for (int i = 0; i < 200; i++) {
		if (ptrace(PTRACE_SYSCALL, pid, 0, 0) || waitpid(pid, NULL, 0) != pid)
			kill(pid, SIGKILL), contained("ptrace");
		TRY(ptrace(PTRACE_GETREGS, pid, 0, &r));
		if (r.orig_rax == SYS_getppid) {
			r.orig_rax = SYS_mprotect;
			TRY(ptrace(PTRACE_SETREGS, pid, 0, &r));
			ptrace(PTRACE_DETACH, pid, 0, 0);
			break;
		}
	}
	ended42(pid);
}
