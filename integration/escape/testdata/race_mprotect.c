// One thread maps and writes a page anew, again and again; another asks for mprotect(PROT_EXEC) while it is innocent.
#include "escape.h"
#include <setjmp.h>
static void *page;
static sigjmp_buf out;
static void fault(int sig) { siglongjmp(out, 1); }
static void *writer(void *arg)
{
	sigset_t none;
	for (sigfillset(&none), pthread_sigmask(SIG_BLOCK, &none, NULL);;) {
		mmap(page, PAGE, RW, PRIV | MAP_FIXED, -1, 0);
		pread(*(int *)arg, page, sizeof code42, 0); // EFAULT when it became executable
		mmap(page, PAGE, PROT_NONE, PRIV | MAP_FIXED, -1, 0);
	}
	return NULL;
}
int main(void)
{
	int fd = file("f");
	put42(fd);
	page = map(PROT_NONE, PRIV, -1);
	signal(SIGSEGV, fault), signal(SIGBUS, fault), signal(SIGILL, fault);
	racer(writer, &fd);
	for (volatile int i = 0; i < rounds(); i++)
		if (mprotect(page, PAGE, RX) == 0 && sigsetjmp(out, 1) == 0 && runs42(page))
			escaped();
	errno = EAGAIN, contained("every round");
}
