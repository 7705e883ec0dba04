// Threads wait in calls that give up with EINTR for any stop (signal(7)), each after a memory call
// beside those that another thread makes all the time.
//
// Shows: that a thread has left its memory call is found out without its next call noticing.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 200, KINDS = 3 };
static char *region;
static int interrupted[KINDS], running = KINDS;

static void *waiter(void *arg)
{
	long kind = (long)arg;
	int ep = epoll_create1(0), sem = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	for (int i = 0; i < ROUNDS; i++) {
		struct timespec soon = {0, 1000000};
		struct sembuf down = {0, -1, 0};
		struct epoll_event event;
		sigset_t none;
		mprotect(region + 2 * kind * 4096, 4096, i & 1 ? PROT_READ : PROT_NONE);
		int ret = kind == 0 ? epoll_wait(ep, &event, 1, 1) : kind == 1 ? semtimedop(sem, &down, 1, &soon)
			: (sigemptyset(&none), sigaddset(&none, SIGUSR1), sigtimedwait(&none, NULL, &soon));
		interrupted[kind] += ret < 0 && errno == EINTR;
	}
	semctl(sem, 0, IPC_RMID);
	__atomic_fetch_sub(&running, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

int main(void)
{
	pthread_t t[KINDS];
	region = mmap(NULL, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < KINDS; i++)
		pthread_create(&t[i], NULL, waiter, (void *)i);
	while (__atomic_load_n(&running, __ATOMIC_SEQ_CST))
		for (int k = 0; k < 2 * KINDS; k++)
			mprotect(region + k * 4096, 4096, PROT_READ | PROT_WRITE);
	for (int i = 0; i < KINDS; i++)
		pthread_join(t[i], NULL);
	printf("interrupted: epoll_wait %d, semtimedop %d, sigtimedwait %d\n", interrupted[0], interrupted[1], interrupted[2]);
	return 0;
}
