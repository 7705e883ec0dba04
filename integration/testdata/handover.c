// One thread unmaps, another maps the same place as soon as it sees the first one's flag, which is
// set after munmap has returned: a ping-pong of one range between two threads, with fixed
// addresses, with hints, and with addresses that the kernel chooses.
//
// Shows: calls of different threads on one range take effect in the order in which the program
// made them.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { ROUNDS = 600, SIZE = 16384 };
static _Atomic(char *) place;
static atomic_int owner;
static int bad;

static void *map(char *at, int flags)
{
	void *p = mmap(at, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

static void *player(void *arg)
{
	int me = arg != NULL;
	for (int r = me; r < ROUNDS; r += 2) {
		while (atomic_load(&owner) != me)
			sched_yield();
		char *at = atomic_load(&place);
		char *p = map(at, r % 3 ? 0 : MAP_FIXED);
		if (r % 3 && p != at)
			bad++; // the hint is free, so it is what the kernel gives
		p[0] = p[SIZE - 1] = r;
		if (mprotect(p, SIZE / 2, PROT_READ))
			bad++;
		if (p[0] != (char)r || p[SIZE - 1] != (char)r)
			bad++;
		if (munmap(p, SIZE))
			bad++;
		atomic_store(&owner, !me);
	}
	return NULL;
}

int main(void)
{
	char *p = map(NULL, 0);
	munmap(p, SIZE);
	atomic_store(&place, (char *)0x300000000000);
	pthread_t t;
	pthread_create(&t, NULL, player, (void *)1);
	player(NULL);
	pthread_join(t, NULL);
	printf("bad %d\n", bad);
	return bad != 0;
}
