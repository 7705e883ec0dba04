// The environment of a process outside: keys and passwords of the user's other programs.
#include "escape.h"
int main(void)
{
	char buf[65536] = {0};
	int n = TRY(read(TRY(open(proc(victim(), "environ"), O_RDONLY)), buf, sizeof buf));
	if (memmem(buf, n, "RUNSBX-SECRET", 13))
		escaped();
	errno = 0, contained("not in it");
}
