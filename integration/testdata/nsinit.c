// The first processes of pid namespaces die by faults: by a null pointer, abort, and others, in
// their first thread or another, after a fault that they handled, and after signals of their own
// namespace, which do nothing to them.
//
// usage: nsinit [try]: exits with 77 where it may make no pid namespace.
//
// Shows: who is traced dies by its faults, although the kernel drops those of a traced init.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static sigjmp_buf back;

static void caught(int sig)
{
	siglongjmp(back, sig);
}

static void null(void) { *(volatile int *)8 = 1; }
static void illegal(void) { __asm__ volatile("ud2"); }
static void breakpoint(void) { __asm__ volatile("int3"); }

static void divide(void)
{
	volatile int zero = 0, many = 100;
	zero = many / zero;
}

static void past(void)
{
	FILE *f = tmpfile();
	volatile char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(f), 0);
	(void)*p;
}

static void blocked(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	null();
}

static void ignoring(void)
{
	signal(SIGSEGV, SIG_IGN);
	null();
}

static void again(void)
{
	signal(SIGSEGV, caught);
	if (sigsetjmp(back, 1) == 0)
		null();
	signal(SIGSEGV, SIG_DFL);
	null();
}

static void harmless(void)
{
	kill(getpid(), SIGSEGV);
	kill(getpid(), SIGTERM);
	raise(SIGKILL);
	_exit(3);
}

static void *run(void *f)
{
	((void (*)(void))f)();
	return NULL;
}

static void *idle(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void thread(void)
{
	pthread_t t;
	pthread_create(&t, NULL, idle, NULL);
	pthread_create(&t, NULL, run, null);
	pthread_join(t, NULL);
}

static void threads(void)
{
	pthread_t t;
	pthread_create(&t, NULL, idle, NULL);
	pthread_create(&t, NULL, idle, NULL);
	null();
}

// parent has a child of its own, which dies with its namespace.
static void parent(void)
{
	if (fork() == 0)
		idle(NULL);
	null();
}

static const struct {
	const char *name;
	void (*f)(void);
} deaths[] = {
	{"null pointer", null}, {"abort", abort}, {"illegal", illegal}, {"breakpoint", breakpoint},
	{"division", divide}, {"past the end", past}, {"blocked", blocked}, {"ignored", ignoring},
	{"handled, then not", again}, {"sent", harmless}, {"in a thread", thread},
	{"with threads", threads}, {"with a child", parent},
};

int main(int argc, char **argv)
{
	struct rlimit none = {0, 0};
	int try = argc > 1 && strcmp(argv[1], "try") == 0;
	setrlimit(RLIMIT_CORE, &none);
	for (unsigned i = 0; i < sizeof deaths / sizeof *deaths; i++) {
		int status;
		pid_t launcher = fork();
		if (launcher == 0) {
			if (unshare(CLONE_NEWPID) && unshare(CLONE_NEWUSER | CLONE_NEWPID))
				_exit(77);
			if (try)
				_exit(0);
			pid_t init = fork();
			if (init == 0) {
				deaths[i].f();
				_exit(1);
			}
			waitpid(init, &status, 0);
			printf("%s: exit %d, signal %d\n", deaths[i].name, WEXITSTATUS(status), WTERMSIG(status));
			exit(0);
		}
		waitpid(launcher, &status, 0);
		if (WEXITSTATUS(status) == 77 || try)
			return WEXITSTATUS(status);
	}
	return 0;
}
