// Threads with a personality of their own, capabilities that are dropped and regained, a user, an
// IPC and a pid namespace of its own, and arguments of which the kernel ignores the upper half.
//
// Shows: what of its caller decides a call is looked at for each thread and at each call.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *anon(size_t size, int flags)
{
	return mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static void say(const char *what, int ok)
{
	printf("%s: %s\n", what, ok ? "ok" : strerror(errno));
	fflush(stdout);
}

static void *persona(void *unused)
{
	personality(READ_IMPLIES_EXEC | personality(0xffffffff));
	say("executable", anon(4096, 0) != MAP_FAILED);
	return NULL;
}

static void threads(void)
{
	pthread_t t;
	pthread_create(&t, NULL, persona, NULL);
	pthread_join(t, NULL);
	say("not executable", anon(3 * 4096, 0) != MAP_FAILED);
}

static void capabilities(void)
{
	struct rlimit l = {65536, 65536};
	setrlimit(RLIMIT_MEMLOCK, &l);
	seteuid(65534);
	say("lock much as an ordinary user", anon(1 << 20, MAP_LOCKED) != MAP_FAILED);
	seteuid(0);
	say("lock much again", anon(1 << 20, MAP_LOCKED) != MAP_FAILED);
	say("map page 0", mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == 0);
}

static void userns(void)
{
	struct rlimit l = {65536, 65536};
	setrlimit(RLIMIT_MEMLOCK, &l);
	say("user namespace", unshare(CLONE_NEWUSER) == 0);
	say("lock much", anon(1 << 20, MAP_LOCKED) != MAP_FAILED);
	say("map page 0", mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == 0);
}

// Both namespaces get a segment with the same identifier, and of different sizes.
static void ipcns(void)
{
	int outer = shmget(IPC_PRIVATE, 4096, 0600 | IPC_CREAT), id = -1;
	pid_t pid = fork();
	if (pid == 0) {
		int failed = unshare(CLONE_NEWIPC);
		say("ipc namespace", !failed);
		for (int i = 0; !failed && id != outer && i < 40000; i++) {
			if (id >= 0)
				shmctl(id, IPC_RMID, NULL);
			id = shmget(IPC_PRIVATE, 5 * 4096, 0600 | IPC_CREAT);
		}
		void *p = shmat(id, NULL, 0);
		say("attach", failed || p != (void *)-1);
		say("map beside it", anon(4096, 0) != MAP_FAILED);
		say("detach", failed || shmdt(p) == 0);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	shmctl(outer, IPC_RMID, NULL);
}

static void pidns(void)
{
	say("pid namespace", unshare(CLONE_NEWPID) == 0);
	if (fork() == 0) {
		struct rlimit l = {1 << 28, 1 << 30};
		setrlimit(RLIMIT_AS, &l);
		say("map 512 MB of 256", anon(1 << 29, 0) != MAP_FAILED);
		l.rlim_cur = 1 << 30;
		say("raise by process id", prlimit(getpid(), RLIMIT_AS, &l, NULL) == 0);
		say("map 512 MB of 1024", anon(1 << 29, 0) != MAP_FAILED);
		_exit(0);
	}
	wait(NULL);
}

static void upper(void)
{
	char *p = anon(4096, 0);
	say("MDWE", syscall(SYS_prctl, 0x100000000 | 65 /* PR_SET_MDWE */, 1, 0, 0, 0) == 0);
	say("become executable", mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0);
}

int main(void)
{
	void (*parts[])(void) = {threads, capabilities, userns, ipcns, pidns, upper};
	for (int i = 0; i < 6; i++) {
		fflush(stdout);
		if (fork() == 0) {
			parts[i]();
			exit(0);
		}
		int status;
		wait(&status);
		printf("status %d\n", status);
	}
	return 0;
}
