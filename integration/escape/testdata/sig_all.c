// kill(-1): everything that the user runs. The signal is SIGURG, which is ignored where nobody waits for it.
#include "escape.h"
int main(void)
{
	if (native())
		errno = 0, not_here("not outside of a sandbox");
	TRY(kill(-1, SIGURG));
	errno = 0, contained("the victim knows"); // it reached at least itself
}
