// fork in the middle of a program whose threads map and unmap all the time. Parent and child then
// go on by themselves with the same addresses and different mappings.
//
// Shows: the child gets a copy of the address space as it was at one moment, and of no other.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int stop;

static void *mapper(void *arg)
{
	while (!atomic_load(&stop)) {
		size_t size = 4096 * (1 + (long)arg);
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		p[0] = 1;
		mprotect(p, 4096, PROT_READ);
		munmap(p, size);
	}
	return NULL;
}

int main(void)
{
	enum { SIZE = 64 * 4096 };
	char *mine = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *parents = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *wiped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(mine, 1, SIZE);
	memset(wiped, 1, SIZE);
	madvise(parents, SIZE, MADV_DONTFORK);
	madvise(wiped, SIZE, MADV_WIPEONFORK);
	mlock(mine, 16 * 4096); // not inherited
	pthread_t t[3];
	for (long i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, mapper, (void *)i);
	int good = 0;
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			mine[0] = 9;
			shared[i] = i;
			if (wiped[0] != 0)
				_exit(2);
			if (msync(parents, SIZE, MS_ASYNC) == 0)
				_exit(3);
			for (int k = 0; k < 30; k++) {
				char *p = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
				p[0] = 2;
				if (munmap(mine + (k + 1) * 4096, 4096) || munmap(p, 12288))
					_exit(4);
			}
			pid_t grandchild = syscall(SYS_fork);
			if (grandchild == 0)
				_exit(munmap(shared, SIZE) ? 5 : 0);
			int status;
			waitpid(grandchild, &status, 0);
			_exit(status ? 6 : 0);
		}
		int status;
		waitpid(pid, &status, 0);
		if (status == 0)
			good++;
		else
			printf("child %d: %#x\n", i, status);
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	int sum = 0;
	for (int i = 0; i < 40; i++)
		sum += shared[i];
	printf("children %d, mine %d, shared %d\n", good, mine[0], sum);
	return 0;
}
