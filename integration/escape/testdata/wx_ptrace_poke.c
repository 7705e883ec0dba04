// A child's code is written with PTRACE_POKETEXT, which ignores protections.
#include "escape.h"
int main(void)
{
	void *p = file_page();
	long word = 0;
	memcpy(&word, code42, sizeof code42);
	pid_t pid = NEED(fork());
	if (pid == 0) {
		ptrace(PTRACE_TRACEME);
		raise(SIGSTOP);
		_exit(runs42(p) ? 42 : 0);
	}
	waitpid(pid, NULL, WUNTRACED);
	long r = ptrace(PTRACE_POKETEXT, pid, p, word);
	int e = errno;
	ptrace(PTRACE_DETACH, pid, 0, 0);
	kill(pid, SIGCONT);
	errno = e;
	TRY(r);
	ended42(pid);
}
