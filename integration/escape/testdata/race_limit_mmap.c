// Another process raises and lowers RLIMIT_AS: a mapping fails by the one look at it and not by the other.
#include "escape.h"
static void toggle(void)
{
	struct rlimit was, low;
	NEED(getrlimit(RLIMIT_AS, &was));
	for (low = was, low.rlim_cur = PAGE;;) {
		prlimit(getppid(), RLIMIT_AS, &low, NULL);
		sched_yield();
		prlimit(getppid(), RLIMIT_AS, &was, NULL);
		sched_yield();
	}
}
int main(void)
{
	pid_t pid = NEED(fork());
	void *p = MAP_FAILED;
	if (!pid)
		toggle();
	for (int i = 0; i < rounds() && p == MAP_FAILED; i++)
		p = mmap(NULL, PAGE, RWX, PRIV, -1, 0);
	kill(pid, SIGKILL);
	if (p != MAP_FAILED)
		write42(p), run42(p);
	errno = EAGAIN, contained("every round");
}
