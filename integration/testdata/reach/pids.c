// Calls that change a process by its number: of this process, a thread and a child, and of the process whose
// number is the first argument.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *say(long ret) { return ret < 0 ? strerrorname_np(errno) : "ok"; }

enum { PROCESS = 1, GROUP, USER }; // IOPRIO_WHO_...

static void try(const char *whom, int pid)
{
	cpu_set_t cpus;
	struct sched_param p = { 0 };
	struct { unsigned size, policy; unsigned long flags; int nice; unsigned prio; unsigned long r[3]; } attr = { .size = 48 };
	struct rlimit l;
	unsigned long node = 1;
	sched_getaffinity(0, sizeof cpus, &cpus);
	getrlimit(RLIMIT_CORE, &l);
	int ioprio = syscall(SYS_ioprio_get, PROCESS, 0);
	printf("%s:", whom);
	printf(" affinity %s", say(sched_setaffinity(pid, sizeof cpus, &cpus)));
	printf(" scheduler %s", say(sched_setscheduler(pid, SCHED_OTHER, &p)));
	printf(" param %s", say(sched_setparam(pid, &p)));
	printf(" attr %s", say(syscall(SYS_sched_setattr, pid, &attr, 0)));
	printf(" priority %s", say(setpriority(PRIO_PROCESS, pid, 0)));
	printf(" ioprio %s", say(syscall(SYS_ioprio_set, PROCESS, pid, ioprio)));
	printf(" limits %s", say(prlimit(pid, RLIMIT_CORE, &l, NULL)));
	printf(" pidfd %s", say(syscall(SYS_pidfd_open, pid, 0)));
	printf(" migrate %s", say(syscall(SYS_migrate_pages, pid, 1, &node, &node)));
	printf(" move %s", say(syscall(SYS_move_pages, pid, 0, NULL, NULL, NULL, 0)));
	printf(" read %s", say(sched_getaffinity(pid, sizeof cpus, &cpus)));
	printf(" %s\n", say(getpgid(pid)));
}

static void *thread(void *arg)
{
	*(int *)arg = gettid();
	pause();
	return NULL;
}

int main(int argc, char **argv)
{
	int outside = atoi(argv[1]), signals = argc > 2;
	setbuf(stdout, NULL);
	pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	pthread_t t;
	volatile int tid = 0;
	pthread_create(&t, NULL, thread, (void *)&tid);
	while (tid == 0)
		usleep(1000);
	try("self", 0);
	try("self by number", getpid());
	try("child", child);
	try("outside", outside);
	try("nobody", 4194000);
	printf("thread: %s\n", say(sched_setscheduler(tid, SCHED_OTHER, &(struct sched_param){ 0 })));
	printf("user: %s", say(setpriority(PRIO_USER, 0, 0)));
	printf(" %s\n", say(syscall(SYS_ioprio_set, USER, getuid(), 0)));
	printf("group of others: %s", say(setpriority(PRIO_PGRP, getpgid(outside), 0)));
	printf(" %s\n", say(syscall(SYS_ioprio_set, GROUP, getpgid(outside), 0)));
	setpgid(0, 0);
	printf("own group: %s", say(setpriority(PRIO_PGRP, 0, 0)));
	printf(" %s\n", say(setpriority(PRIO_PGRP, getpid(), 0)));
	if (signals) {
		union sigval v = { 0 };
		printf("signals out: %s", say(kill(outside, 0)));
		printf(" %s", say(kill(outside, SIGKILL)));
		printf(" %s", say(tgkill(outside, outside, SIGKILL)));
		printf(" %s", say(syscall(SYS_tkill, outside, SIGKILL)));
		printf(" %s", say(sigqueue(outside, SIGKILL, v)));
		printf(" %s\n", say(kill(-getpgid(outside), SIGKILL)));
		signal(SIGUSR1, SIG_IGN);
		printf("signals within: %s", say(kill(getpid(), SIGUSR1)));
		printf(" %s", say(tgkill(getpid(), tid, SIGUSR1)));
		printf(" %s", say(kill(0, SIGUSR1)));
		printf(" %s", say(sigqueue(child, 0, v)));
		printf(" %s\n", say(kill(-1, SIGCONT)));
	}
	printf("end: %s", say(kill(child, SIGTERM)));
	usleep(50000); // it has ended, and is still ours
	printf(" %s", say(kill(child, 0)));
	int status = 0;
	waitpid(child, &status, 0);
	printf(" %d\n", WTERMSIG(status));
	return 0;
}
