// One thread moves many VMAs at once, of memory that same pages may be merged in (KSM), while another maps beside
// them all the time. The kernel gives up such a move for a signal, between two of them, and does
// not find the first ones when it makes the call again: so no stop of a debugger's may come in between.
//
// Shows: that a thread has left its call is not proved by interrupting its next one.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, MANY = 64, ROUNDS = 500 };

static char *area;
static atomic_int done;

static void *beside(void *arg)
{
	while (!done) {
		mmap(area, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		mprotect(area, PAGE, PROT_NONE);
	}
	return arg;
}

int main(void)
{
	pthread_t t;
	area = mmap(NULL, (2 * MANY + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *from = area + PAGE, *to = area + (MANY + 1) * PAGE;
	mprotect(from, MANY * PAGE, PROT_READ | PROT_WRITE);
	memset(from, 1, MANY * PAGE);
	madvise(from, MANY * PAGE, MADV_MERGEABLE);
	for (int i = 1; i < MANY; i += 2)
		mprotect(from + i * PAGE, PAGE, PROT_READ);
	pthread_create(&t, NULL, beside, NULL);
	int lost = 0;
	for (int i = 0; i < ROUNDS && lost == 0; i++) {
		char *last = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); // may be wherever there is room
		if (mremap(from, MANY * PAGE, MANY * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
			lost++;
		munmap(last, PAGE);
		char *was = from;
		from = to, to = was;
	}
	done = 1;
	pthread_join(t, NULL);
	printf("lost %d\n", lost);
	return 0;
}
