// The same by close and open, which give the same number again.
#include "escape.h"
static void *swapper(void *arg)
{
	for (int *fd = arg;;) {
		close(*fd);
		open("f", O_RDWR);
		close(*fd);
		open("/lib64/ld-linux-x86-64.so.2", O_RDONLY);
	}
	return NULL;
}
int main(void)
{
	put42(file("f"));
	int fd = NEED(open("f", O_RDONLY));
	racer(swapper, &fd);
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
