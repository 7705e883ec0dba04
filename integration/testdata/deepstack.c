// The stack grows by page faults, without a call, between mappings that are made meanwhile: in the
// main thread, in the child of a fork, and on a signal's alternate stack.
//
// Shows: that the model follows a stack whose growth it was not told of, and that the program
// gets the same addresses as natively.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char *last;
static int moves;

static long down(int n)
{
	volatile char frame[8000];
	frame[0] = n;
	frame[7999] = 1;
	if (n % 20 == 0) {
		char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			exit(1);
		moves += last != NULL && p + 4096 != last; // growing downwards, side by side
		last = p;
		mprotect(p, 4096, n % 40 ? PROT_READ : PROT_NONE);
	}
	return n == 0 ? frame[7999] : down(n - 1) + frame[7999];
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
	static const char text[] = "stack overflow\n";
	void *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED && munmap(p, 65536) == 0)
		(void)!write(1, text, sizeof text - 1);
	_exit(5);
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
static long endless(long n)
{
	volatile char frame[4000];
	frame[0] = n;
	return endless(n + 1) + frame[0];
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	printf("%ld\n", down(100));
	printf("%ld\n", down(900)); // some 7 MB of the usual 8
	if (fork() == 0) {
		printf("child %ld\n", down(950));
		exit(0);
	}
	int status;
	wait(&status);
	printf("child's status %d\n", status);
	if (fork() == 0) {
		struct rlimit r = {1 << 20, 1 << 20};
		setrlimit(RLIMIT_STACK, &r);
		stack_t s = {.ss_sp = malloc(65536), .ss_size = 65536};
		sigaltstack(&s, NULL);
		struct sigaction a = {.sa_sigaction = on_segv, .sa_flags = SA_ONSTACK | SA_SIGINFO};
		sigaction(SIGSEGV, &a, NULL);
		exit(endless(0));
	}
	wait(&status);
	printf("overflow %d\n", WEXITSTATUS(status));
	if (fork() == 0)
		exit(endless(0));
	wait(&status);
	printf("signal %d\n", WTERMSIG(status));
	return 0;
}
