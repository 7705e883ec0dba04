// prlimit64 takes files away from a process outside.
#include "escape.h"
int main(void)
{
	struct rlimit l;
	TRY(prlimit(victim(), RLIMIT_NOFILE, NULL, &l));
	l.rlim_cur--;
	TRY(prlimit(victim(), RLIMIT_NOFILE, &l, NULL));
	escaped();
}
