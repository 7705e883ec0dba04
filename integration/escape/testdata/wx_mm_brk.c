// PR_SET_MM_BRK moves the heap to where executable memory is; brk then grows over it.
#include "escape.h"
int main(void)
{
	char *x = TRY(mmap(NULL, 4 * PAGE, RX, PRIV, -1, 0));
	NEED(munmap(x + PAGE, 3 * PAGE));
	HOST(prctl(PR_SET_MM, PR_SET_MM_BRK, x + PAGE, 0, 0));
	HOST(prctl(PR_SET_MM, PR_SET_MM_START_BRK, x, 0, 0));
	if ((char *)syscall(SYS_brk, x + 2 * PAGE) != x + 2 * PAGE)
		contained("brk");
	write42(x + PAGE);
	protect(x + PAGE, RX);
	run42(x + PAGE);
}
