// One thread moves a written page onto a place and away again; another makes the place executable while it is empty.
#include "escape.h"
#include <setjmp.h>
static char *place, *page;
static sigjmp_buf out;
static void fault(int sig) { siglongjmp(out, 1); }
static void *mover(void *arg)
{
	for (;;) {
		mmap(place, PAGE, PROT_NONE, PRIV | MAP_FIXED, -1, 0);
		mmap(page, PAGE, RW, PRIV | MAP_FIXED, -1, 0);
		pread(*(int *)arg, page, sizeof code42, 0);
		mremap(page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	}
	return NULL;
}
int main(void)
{
	int fd = file("f");
	put42(fd);
	place = map(PROT_NONE, PRIV, -1), page = map(PROT_NONE, PRIV, -1);
	signal(SIGSEGV, fault), signal(SIGBUS, fault), signal(SIGILL, fault);
	racer(mover, &fd);
	for (volatile int i = 0; i < rounds(); i++)
		if (mprotect(place, PAGE, RX) == 0 && sigsetjmp(out, 1) == 0 && runs42(place))
			escaped();
	errno = EAGAIN, contained("every round");
}
