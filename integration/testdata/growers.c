// Processes whose stacks grow by page faults, at the same time, as far as they can.
//
// Shows: under --limit commit stacks are charged as they grow, all of them together, though a fault is
// no call; each gets what there is, and who asks for more ends by SIGSEGV (commit_test.go).
//
//	growers PROCESSES BYTES MAPPED
//
// Each process lets its stack grow by so many bytes, and keeps it; the first has mapped MAPPED bytes
// before.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static long deep(char *from, long bytes)
{
	volatile char frame[1024];
	frame[0] = 1;
	if (from - (char *)frame > bytes)
		return from - (char *)frame;
	return deep(from, bytes) + frame[0] - 1;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int n = atoi(argv[1]), ready[2], go[2], died = 0;
	long bytes = atol(argv[2]), mapped = atol(argv[3]);
	struct rlimit l;
	char c = 0, here = 0;
	if (mapped && mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		puts("not mapped");
	getrlimit(RLIMIT_STACK, &l);
	printf("limit %ld\n", (long)l.rlim_cur);
	fflush(stdout);
	if (pipe(ready) || pipe(go))
		return 2;
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();
		if (pid < 0) {
			puts("no fork");
			n = i;
			break;
		}
		if (pid == 0) {
			close(ready[0]);
			close(go[1]);
			if (deep(&here, bytes) < bytes || write(ready[1], &c, 1) != 1)
				_exit(3);
			close(ready[1]);
			_exit(read(go[0], &c, 1)); // when all have grown
		}
	}
	close(ready[1]);
	int grown = 0;
	while (read(ready[0], &c, 1) == 1) // until every child has grown, or died
		grown++;
	close(go[1]);
	for (int i = 0; i < n; i++) {
		int status;
		wait(&status);
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)
			died++;
		else if (status)
			printf("status %x\n", status);
	}
	printf("grown %s, died %s\n", grown == n ? "all" : grown ? "some" : "none", died == 0 ? "none" : died == n ? "all" : "some");
	if (n == 0)
		printf("alone %d\n", deep(&here, bytes) >= bytes);
	return 0;
}
