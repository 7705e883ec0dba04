// Two threads map a library, again and again, and a third one executes the program anew: what the others were
// in the middle of is nothing to the new image, whose first thread has the id of one of them.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static char **args;
static int left;

static void *again(void *arg)
{
	char number[16];

	usleep(200 + left % 10 * 100);
	snprintf(number, sizeof number, "%d", left - 1);
	execl(args[0], args[0], number, (char *)0);
	_exit(2);
}

static void *map(void *arg)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	for (;;) {
		void *p = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
		if (p == MAP_FAILED || munmap(p, 4096))
			_exit(3);
	}
}

int main(int argc, char **argv)
{
	pthread_t thread;

	args = argv;
	left = argc > 1 ? atoi(argv[1]) : 60;
	if (left == 0) {
		puts("done");
		return 0;
	}
	if (pthread_create(&thread, 0, map, 0) || pthread_create(&thread, 0, again, 0))
		return 1;
	map(0);
}
