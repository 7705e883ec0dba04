// Ends as its arguments say: "exit N", or "signal N" with the default action.
//
// Shows: that exit statuses and deadly signals come through unchanged.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[2]) : 0;
	if (argc > 1 && !strcmp(argv[1], "exit"))
		_exit(n);
	sigset_t all;
	sigfillset(&all);
	signal(n, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	if (argc > 3) { // by a real fault, not by kill
		volatile char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (n == SIGSEGV)
			*p = 1;
		if (n == SIGILL)
			__builtin_trap();
		volatile int zero = argc - 4, one = 1;
		if (n == SIGFPE)
			n = one / zero;
		if (n == SIGTRAP)
			__asm__ volatile("int3");
	}
	kill(getpid(), n);
	return 99;
}
