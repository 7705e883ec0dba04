// A fork bomb of at most 20000 processes, each of which ends by itself.
#include "escape.h"
int main(void)
{
	if (native())
		errno = 0, not_here("not outside of a sandbox");
	int n = 0;
	pid_t *pids = NEED(calloc(20000, sizeof *pids));
	for (; n < 20000; n++) {
		pids[n] = fork();
		if (pids[n] == 0)
			prctl(PR_SET_PDEATHSIG, SIGKILL), alarm(250), pause(), _exit(0);
		if (pids[n] < 0)
			break;
	}
	int e = errno;
	for (int i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	errno = e;
	if (n == 20000)
		escaped();
	contained("fork");
}
