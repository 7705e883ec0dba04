// CLONE_UNTRACED: a child that its tracer does not get (an escape of tools that follow children with ptrace).
#include "escape.h"
static int child(void *arg)
{
	void *p = mmap(NULL, PAGE, RWX, PRIV, -1, 0);
	if (p == MAP_FAILED)
		return errno;
	write42(p);
	return runs42(p) ? 42 : 0;
}
int main(void)
{
	char *stack = TRY(mmap(NULL, 16 * PAGE, RW, PRIV, -1, 0));
	ended42(TRY(clone(child, stack + 16 * PAGE, CLONE_UNTRACED | SIGCHLD, NULL)));
}
