// A small program for every way of linking: dynamic, static, static-pie, no-pie. It uses the heap,
// a thread-local variable, a constructor, a thread and a child.
//
// Shows: where exec puts each kind of image, and what its start-up code maps.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static __thread int local = 5;
static int constructed;
__attribute__((constructor)) static void before(void) { constructed = 1; }
static char zeros[3 << 20];

static void *thread(void *arg)
{
	local++;
	return memset(malloc(300000), 1, 300000);
}

int main(int argc, char **argv)
{
	pthread_t t;
	void *p;
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, &p);
	char *big = malloc(10 << 20);
	memset(big, 1, 10 << 20);
	zeros[2 << 20] = 1;
	printf("%d %d %d %d\n", constructed, local, ((char *)p)[299999], big[5 << 20] + zeros[1 << 20]);
	fflush(stdout);
	if (fork() == 0)
		exit(argc + 2);
	int status;
	wait(&status);
	return WEXITSTATUS(status);
}
