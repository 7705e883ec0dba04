// A program that crashes leaves its memory, and whatever secrets were in it, in a file or with a program outside.
#include "escape.h"
int main(void)
{
	int status;
	HOST(setrlimit(RLIMIT_CORE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}));
	if (fork() == 0)
		abort();
	wait(&status);
	errno = 0;
	if (WCOREDUMP(status))
		escaped();
	(native() ? not_here : contained)("no core was dumped");
}
