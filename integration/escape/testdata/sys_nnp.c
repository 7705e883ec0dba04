// Without no_new_privs a set-user-ID program or file capabilities would give privileges.
#include "escape.h"
int main(void)
{
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0)
		escaped();
	errno = 0, contained("it is set");
}
