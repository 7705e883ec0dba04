// 200 threads live at the same time, each maps, protects and unmaps; then 300 more, short-lived.
//
// Shows: 200 stacks and their guard pages in one address space, and their ends.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { THREADS = 200 };
static pthread_barrier_t all;
static __thread int own;

static void *worker(void *arg)
{
	long n = (long)arg;
	own = n;
	pthread_barrier_wait(&all);
	for (int i = 0; i < 5; i++) {
		char *p = mmap(NULL, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(p, n, 5 * 4096);
		if (mprotect(p, 4096, PROT_READ) || p[4096] != (char)n || munmap(p, 5 * 4096))
			exit(1);
		free(malloc(200000));
	}
	pthread_barrier_wait(&all);
	return (void *)(long)own;
}

static void *shortly(void *arg) { return malloc(10); }

int main(void)
{
	pthread_t t[THREADS];
	pthread_barrier_init(&all, NULL, THREADS);
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, worker, (void *)i))
			return puts("pthread_create failed"), 1;
	long sum = 0;
	for (int i = 0; i < THREADS; i++) {
		void *r;
		pthread_join(t[i], &r);
		sum += (long)r;
	}
	for (int i = 0; i < 300; i++) {
		void *r;
		pthread_create(&t[0], NULL, shortly, NULL);
		pthread_join(t[0], &r);
		free(r);
	}
	printf("sum %ld\n", sum);
	return 0;
}
