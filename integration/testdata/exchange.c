// One thread puts one file after the other behind a descriptor, and closes it, while another maps
// that descriptor. Which file a mapping gets only the kernel knows; whatever it is, nothing is lost.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FD = 100, ROUNDS = 3000 };

static volatile int stop;
static int zero, self;

static void *exchange(void *arg)
{
	while (!stop) {
		dup2(zero, FD);
		dup2(self, FD);
		close(FD);
	}
	return arg;
}

int main(void)
{
	pthread_t thread;

	zero = open("/dev/zero", O_RDONLY);
	self = open("/proc/self/exe", O_RDONLY);
	if (zero < 0 || self < 0 || pthread_create(&thread, 0, exchange, 0))
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		void *p = mmap(0, 4096, PROT_READ, MAP_PRIVATE, FD, 0);
		if (p != MAP_FAILED && munmap(p, 4096))
			return 2;
	}
	stop = 1;
	pthread_join(thread, 0);
	puts("done");
	return 0;
}
