// A program that wants to outlive its supervisor, in the way that its argument names. Its last
// process writes its id to the file "alive", again and again for BEATS/20 seconds.
#include "escape.h"

static void beat(void)
{
	for (int i = number("BEATS"); i > 0; i--) {
		FILE *f = fopen("alive.new", "w");
		if (f)
			fprintf(f, "%d\n", getpid()), fclose(f), rename("alive.new", "alive");
		usleep(50000);
	}
	_exit(0);
}
static int on_stack(void *arg) { beat(); return 0; }
static void *thread(void *arg) { beat(); return NULL; }

int main(int argc, char **argv)
{
	char *how = argc > 1 ? argv[1] : "";
	static char stack[65536] __attribute__((aligned(16)));
	sigset_t all;
	sigfillset(&all);
	if (strcmp(how, "daemon") == 0) { // setsid and two forks
		if (fork() == 0) {
			setsid();
			if (fork() == 0)
				beat();
			_exit(0);
		}
	} else if (strcmp(how, "blocked") == 0) { // all signals blocked and ignored, no parent-death signal
		if (fork() == 0) {
			for (int i = 1; i < 65; i++)
				signal(i, SIG_IGN);
			sigprocmask(SIG_BLOCK, &all, NULL);
			prctl(PR_SET_PDEATHSIG, 0);
			beat();
		}
	} else if (strcmp(how, "cloneparent") == 0) { // a sibling, not a child
		if (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) == 0)
			beat();
	} else if (strcmp(how, "untraced") == 0) {
		clone(on_stack, stack + sizeof stack, CLONE_UNTRACED | SIGCHLD, NULL);
	} else if (strcmp(how, "vm") == 0) { // shares the address space, is no thread
		clone(on_stack, stack + sizeof stack, CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, NULL);
	} else if (strcmp(how, "nosignal") == 0) { // ends without a signal to anybody
		clone(on_stack, stack + sizeof stack, 0, NULL);
	} else if (strcmp(how, "leader") == 0) { // the first thread ends, another goes on
		racer(thread, NULL);
		syscall(SYS_exit, 0);
	} else if (strcmp(how, "subreaper") == 0) {
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		if (fork() == 0) {
			if (fork() == 0)
				beat();
			_exit(0);
		}
	} else if (strcmp(how, "stopped") == 0) { // stops itself; a child waits to continue it
		pid_t pid = getpid();
		if (fork() == 0) {
			usleep(1500000);
			kill(pid, SIGCONT);
			_exit(0);
		}
		FILE *f = fopen("alive", "w");
		fprintf(f, "%d\n", pid), fclose(f);
		raise(SIGSTOP);
		beat();
	}
	usleep(argc > 2 ? 0 : 30000000);
	return 0;
}
