// Executes itself with every kind of stack limit, and once with a limit that exec cannot keep.
//
// Shows: with a huge stack mmap_base is below the program; an exec that fails too late to return.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void run(int resource, rlim_t limit)
{
	fflush(stdout);
	if (fork() == 0) {
		struct rlimit l;
		getrlimit(resource, &l);
		l.rlim_cur = limit;
		if (setrlimit(resource, &l)) {
			perror("setrlimit");
			_exit(1);
		}
		execl("/proc/self/exe", "hugestack", "mapped", NULL);
		_exit(2);
	}
	int status;
	wait(&status);
	printf("limit %#lx: status %d\n", (unsigned long)limit, status);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		void *p = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		void *q = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		return p == MAP_FAILED || q == MAP_FAILED;
	}
	run(RLIMIT_STACK, RLIM_INFINITY);
	run(RLIMIT_STACK, 64UL << 40);
	run(RLIMIT_STACK, 1UL << 40);
	run(RLIMIT_STACK, 1UL << 30);
	run(RLIMIT_STACK, 256 << 10);
	run(RLIMIT_DATA, 0);
	return 0;
}
