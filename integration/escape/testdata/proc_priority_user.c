// setpriority on all processes of the user (natively only asked with its own present value).
#include "escape.h"
int main(void)
{
	if (native())
		errno = 0, not_here("not outside of a sandbox");
	TRY(setpriority(PRIO_USER, 0, 0));
	escaped();
}
