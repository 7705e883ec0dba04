// prlimit64 reads the limits of a process outside.
#include "escape.h"
int main(void)
{
	struct rlimit l;
	TRY(prlimit(victim(), RLIMIT_NOFILE, NULL, &l));
	escaped();
}
