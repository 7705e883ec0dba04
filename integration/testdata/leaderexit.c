// The thread-group leader ends first; the other threads go on mapping, forking and unmapping, and
// the last of them ends the process.
//
// Shows: that an address space lives as long as its last thread, and who can be asked about it
// when /proc/PID shows only a zombie.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_t leader;
static pthread_barrier_t end;

static void *worker(void *arg)
{
	long n = (long)arg;
	if (n == 0)
		pthread_join(leader, NULL);
	for (int i = 0; i < 200; i++) {
		char *p = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(p, 1, 8 * 4096);
		mprotect(p + 4096, 4096, PROT_NONE);
		munmap(p, 8 * 4096);
		if (i % 50 == 0) {
			pid_t pid = fork();
			if (pid == 0) {
				void *q = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
				_exit(munmap(q, 4096) ? 1 : 3);
			}
			int status;
			waitpid(pid, &status, 0);
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 3)
				puts("the child failed");
		}
	}
	pthread_barrier_wait(&end);
	if (n == 0) {
		puts("the last thread ends the process");
		exit(11);
	}
	return NULL;
}

int main(void)
{
	leader = pthread_self();
	pthread_barrier_init(&end, NULL, 4);
	pthread_t t;
	for (long i = 0; i < 4; i++)
		pthread_create(&t, NULL, worker, (void *)i);
	puts("the leader ends");
	pthread_exit(NULL);
}
