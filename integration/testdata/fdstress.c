// Neighbouring ranges of one address space are mapped, protected and unmapped by several threads
// at once, and handed from one thread to the next through atomics the moment that munmap returns.
//
// Shows: that an unmap which is on its way never destroys what another thread mapped at the same
// place meanwhile, that merges and splits at the borders of the ranges come out as the kernel
// does them, and that a thread's page always holds what that thread wrote.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { THREADS = 4, ROUNDS = 400, SLOTS = 8, PAGES = 4, PAGE = 4096 };
static char *arena;
static atomic_int turn[SLOTS]; // whose turn a slot is; the previous owner has unmapped it
static atomic_long checks, lost;

static void must(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static void use(char *p, int id)
{
	for (int i = 0; i < PAGES; i++) {
		must(p[i * PAGE] == 0, "a new page is zero");
		p[i * PAGE] = id + 1;
	}
	must(mprotect(p + PAGE, PAGE, PROT_READ) == 0, "mprotect inner");
	must(mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect back");
	for (int i = 0; i < PAGES; i++) {
		if (p[i * PAGE] != id + 1)
			atomic_fetch_add(&lost, 1);
		atomic_fetch_add(&checks, 1);
	}
}

static void *worker(void *arg)
{
	int id = (int)(intptr_t)arg;
	for (int r = 0; r < ROUNDS; r++) {
		// A slot of the arena, at a fixed place, in turns.
		int slot = (r + id * 2) % SLOTS;
		if (atomic_load(&turn[slot]) % THREADS == id) {
			char *p = arena + (size_t)slot * PAGES * PAGE;
			must(mmap(p, PAGES * PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == p, "mmap slot");
			use(p, id);
			must(munmap(p, PAGES * PAGE) == 0, "munmap slot");
			atomic_fetch_add(&turn[slot], 1);
		}
		// And a place that the kernel chooses: often the one that was just unmapped elsewhere.
		char *q = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		must(q != MAP_FAILED, "mmap anywhere");
		use(q, id);
		if (r % 2) {
			must(munmap(q + PAGE, PAGE) == 0, "munmap middle");
			must(munmap(q, PAGE) == 0, "munmap first");
			must(munmap(q + 2 * PAGE, 2 * PAGE) == 0, "munmap rest");
		} else {
			must(munmap(q, PAGES * PAGE) == 0, "munmap whole");
		}
	}
	return NULL;
}

int main(void)
{
	// The slots are at addresses that the kernel does not choose by itself: far below everything.
	arena = (char *)0x200000000000;
	pthread_t t[THREADS];
	for (intptr_t i = 0; i < THREADS; i++)
		must(pthread_create(&t[i], NULL, worker, (void *)i) == 0, "pthread_create");
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	printf("lost %ld of %d checks\n", atomic_load(&lost), atomic_load(&checks) > 0);
	return atomic_load(&lost) != 0;
}
