// Threads map while another one executes a program: the supervisor must not mistake the new address space for the old one.
#include "escape.h"
static void *mapper(void *arg)
{
	for (;;) {
		void *p = mmap(NULL, PAGE, RW, PRIV, -1, 0);
		write42(p);
		if (mprotect(p, PAGE, RX) == 0 && runs42(p))
			_exit(42);
		munmap(p, PAGE);
	}
	return NULL;
}
int main(int argc, char **argv)
{
	int left = argc > 1 ? atoi(argv[1]) : rounds() / 20, status;
	char next[16];
	if (argc == 1) {
		pid_t pid = NEED(fork());
		if (pid) {
			waitpid(pid, &status, 0);
			if (WIFEXITED(status) && WEXITSTATUS(status) == 42)
				escaped();
			errno = EAGAIN, contained("every round");
		}
	}
	if (left <= 0)
		return 1;
	racer(mapper, NULL);
	usleep(200);
	snprintf(next, sizeof next, "%d", left - 1);
	execl("/proc/self/exe", argv[0], next, NULL);
	return 1;
}
