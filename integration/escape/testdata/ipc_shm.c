// A System V segment of a process outside of the same user is attached and written.
#include "escape.h"
int main(void)
{
	char *p = TRY(shmat(number("SHM_ID"), NULL, 0));
	if (strncmp(p, "RUNSBX-SECRET", 13) == 0)
		escaped();
	contained("something else");
}
