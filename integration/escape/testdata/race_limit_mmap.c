// Another process raises and lowers RLIMIT_AS: a mapping fails by the one look at it and not by the other.
#include "escape.h"
int main(void)
{
	pid_t pid = NEED(fork());
	void *p = MAP_FAILED;
	if (!pid)
		toggle_limit(RLIMIT_AS);
	for (int i = 0; i < rounds() && p == MAP_FAILED; i++)
		p = mmap(NULL, PAGE, RWX, PRIV, -1, 0);
	kill(pid, SIGKILL);
	if (p != MAP_FAILED)
		write42(p), run42(p);
	errno = EAGAIN, contained("every round");
}
