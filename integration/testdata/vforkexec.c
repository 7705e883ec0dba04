// vfork and exec, again and again, from several threads at once: the child borrows the address
// space of its parent, maps and unmaps in it, then replaces it with another program's.
//
// Shows: whose address space a call is about between vfork and exec, and that the parent's is
// unharmed afterwards.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, ROUNDS = 25 };
static atomic_int statuses;
static char *self;

static void *storm(void *arg)
{
	long n = (long)arg;
	for (int r = 0; r < ROUNDS; r++) {
		char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		p[0] = 1;
		char code[2] = {'1' + n, 0};
		char *argv[] = {self, code, NULL};
		pid_t pid = vfork();
		if (pid == 0) {
			// In the parent's address space: the parent sees what happens here.
			mprotect(p, 4096, PROT_READ);
			munmap(p + 8192, 4096);
			if (r % 5 == 4)
				_exit(n + 1);
			if (r % 5 == 3) {
				char *none[] = {"/nonexistent", NULL};
				execve(none[0], none, environ);
			}
			execve(self, argv, environ);
			_exit(99);
		}
		int status;
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		atomic_fetch_add(&statuses, WEXITSTATUS(status));
		if (p[0] != 1 || munmap(p, 65536)) {
			puts("the mapping is gone");
			exit(1);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return atoi(argv[1]);
	self = "/proc/self/exe";
	pthread_t t[THREADS];
	for (long i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, storm, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	printf("sum of statuses %d\n", atomic_load(&statuses));
	return 0;
}
