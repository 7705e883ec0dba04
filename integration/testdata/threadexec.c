// A thread that is not the leader calls exec while the other threads map and unmap. It takes over
// the leader's process id; all other threads vanish without a word.
//
// Shows: that the new program runs with a new address space under the old id, also when it does
// the same again, and when the exec fails first.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static char **args;

static void *mapper(void *unused)
{
	for (;;) {
		void *p = mmap(NULL, 32768, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		munmap(p, 32768);
	}
	return unused;
}

static void *execer(void *unused)
{
	char *none[] = {"/nonexistent", NULL};
	execve(none[0], none, environ);
	if (syscall(SYS_gettid) == getpid())
		puts("this is the leader");
	execv("/proc/thread-self/exe", args); // /proc/self is the leader, which may be a zombie
	perror("execv");
	exit(1);
	return unused;
}

int main(int argc, char **argv)
{
	int left = argc > 1 ? atoi(argv[1]) : 8;
	if (syscall(SYS_gettid) != getpid())
		puts("exec did not make a leader");
	char *pid = getenv("FIRST_PID"), mine[16];
	snprintf(mine, sizeof mine, "%d", getpid());
	if (pid && atoi(pid) != getpid())
		puts("the process id changed");
	setenv("FIRST_PID", mine, 1);
	if (left == 0) {
		puts("done");
		return 6;
	}
	char next[16];
	snprintf(next, sizeof next, "%d", left - 1);
	args = (char *[]){argv[0], next, NULL};
	printf("%d left\n", left);
	fflush(stdout);
	pthread_t t;
	for (int i = 0; i < 3; i++)
		pthread_create(&t, NULL, mapper, NULL);
	pthread_create(&t, NULL, execer, NULL);
	if (left % 2)
		pthread_exit(NULL); // the leader is a zombie when the thread execs
	for (;;)
		pause();
}
