// A process stops another one that has the same memory, goes on changing that, and has it continue: what the
// stopped one was in the middle of is over, and keeps nobody waiting.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE };

static char stack[65536], *area;
static pid_t parent;

static int mate(void *arg)
{
	for (int i = 0; i < 300; i++) {
		kill(parent, SIGSTOP);
		for (int j = 0; j < 5; j++) {
			mprotect(area, PAGE, PROT_READ);
			mprotect(area, PAGE, RW);
		}
		kill(parent, SIGCONT);
		usleep(i % 50);
	}
	_exit(0);
}

int main(void)
{
	int status;

	parent = getpid();
	area = mmap(0, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid = clone(mate, stack + sizeof stack, CLONE_VM | SIGCHLD, 0);
	do {
		mprotect(area, PAGE, RW);
		mprotect(area + PAGE, PAGE, PROT_READ);
		mprotect(area, 2 * PAGE, RW);
	} while (waitpid(pid, &status, WNOHANG) != pid);
	printf("done %d\n", status);
	return 0;
}
