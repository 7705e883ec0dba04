// Tries every call that a limit of setrlimit(2) decides, and prints what each answers.
//
// Shows: as, data, stack and memlock bind under runsbx run --limit as under prlimit(1), also in
// threads, in children, after exec, and when they are lowered or are to be raised.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define KB 1024ul
#define MB (1024 * KB)

static const struct { int res; const char *name; } limits[] = {
	{ RLIMIT_AS, "as" }, { RLIMIT_DATA, "data" }, { RLIMIT_STACK, "stack" }, { RLIMIT_MEMLOCK, "memlock" },
};

static void say(const char *what, long ok)
{
	printf("  %s: %s\n", what, ok ? "ok" : strerror(errno));
	fflush(stdout);
}

// What is asked for in steps is counted in large ones: how much a program has at its start differs
// by a page or two with the randomization of its stack.
static void map(const char *what, size_t size, int prot, int flags)
{
	void *p[24];
	int n = 0;
	while (n < 24 && (p[n] = mmap(NULL, size, prot, flags | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED)
		n++;
	int e = errno;
	printf("  %s of %zuM: %d, then %s\n", what, size / MB, n, n < 24 ? strerror(e) : "enough");
	fflush(stdout);
	while (n > 0)
		munmap(p[--n], size);
}

static void tries(void)
{
	map("private", 32 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE);
	map("shared", 32 * MB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE);
	map("nothing", 32 * MB, PROT_NONE, MAP_PRIVATE);
	map("locked", MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_LOCKED);
	char *p = mmap(NULL, 16 * MB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED) {
		errno = 0;
		say("mprotect", mprotect(p, 16 * MB, PROT_READ | PROT_WRITE) == 0);
		char *q = mremap(p, 16 * MB, 300 * MB, MREMAP_MAYMOVE);
		say("mremap", q != MAP_FAILED);
		if (q != MAP_FAILED)
			munmap(q, 300 * MB);
		else
			munmap(p, 16 * MB);
	}
	void *old = sbrk(0);
	say("sbrk 100M", sbrk(100 * MB) != (void *)-1);
	say("brk back", brk(old) == 0);
	p = mmap(NULL, MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t size = 4 * KB; p != MAP_FAILED && size <= MB; size *= 4) {
		char text[32];
		snprintf(text, sizeof text, "mlock %zuK", size / KB);
		say(text, mlock(p, size) == 0);
		munlock(p, size);
	}
	say("mlockall", mlockall(MCL_FUTURE) == 0);
	if (munlockall() || p == MAP_FAILED)
		return;
	munmap(p, MB);
}

static __attribute__((noinline)) int deep(size_t left)
{
	volatile char room[16 * KB];
	memset((char *)room, 1, sizeof room);
	return left <= sizeof room ? room[1] : deep(left - sizeof room) + room[2];
}

static void recursion(size_t size)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		deep(size);
		_exit(0);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	printf("  %zuK deep: %s\n", size / KB, WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "ok");
}

static void *thread(void *arg)
{
	puts(arg);
	tries();
	return NULL;
}

static void show(void)
{
	for (int i = 0; i < 4; i++) {
		struct rlimit l;
		getrlimit(limits[i].res, &l);
		printf("  %s %lld %lld\n", limits[i].name, (long long)l.rlim_cur, (long long)l.rlim_max);
	}
}

static void set(const char *what, pid_t pid, int res, rlim_t cur, rlim_t max)
{
	struct rlimit l = { cur, max };
	say(what, prlimit(pid, res, &l, NULL) == 0);
}

int main(int argc, char **argv)
{
	puts(argc > 1 ? argv[1] : "first");
	show();
	tries();
	for (size_t size = 64 * KB; size <= 16 * MB; size *= 4)
		recursion(size);
	if (argc > 1)
		return 0;

	pthread_t t;
	if ((errno = pthread_create(&t, NULL, thread, "thread")) == 0)
		pthread_join(t, NULL);
	else
		say("pthread_create", 0);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		execl("/proc/self/exe", "rlimits", "child after exec", NULL);
		say("exec", 0);
		_exit(1);
	}
	waitpid(pid, NULL, 0);

	puts("changed");
	for (int i = 0; i < 4; i++) {
		struct rlimit l;
		getrlimit(limits[i].res, &l);
		puts(limits[i].name);
		if (l.rlim_max == RLIM_INFINITY)
			continue;
		set("raise hard", 0, limits[i].res, l.rlim_cur, l.rlim_max + 4 * KB);
		set("raise soft", 0, limits[i].res, l.rlim_max + 4 * KB, l.rlim_max);
		set("no limit", 0, limits[i].res, RLIM_INFINITY, RLIM_INFINITY);
		set("halve soft", 0, limits[i].res, l.rlim_max / 2, l.rlim_max);
		set("soft again", 0, limits[i].res, l.rlim_max, l.rlim_max);
		struct rlimit less = { l.rlim_max / 4 * 3, l.rlim_max / 4 * 3 };
		say("setrlimit", setrlimit(limits[i].res, &less) == 0);
		set("raise it again", 0, limits[i].res, l.rlim_max, l.rlim_max);
	}
	show();
	tries();
	fflush(stdout);
	// A child's limits, by its parent.
	int go[2];
	if (pipe(go))
		return 1;
	if ((pid = fork()) == 0) {
		char c;
		if (read(go[0], &c, 1) == 1)
			tries();
		fflush(stdout);
		_exit(0);
	}
	puts("by the parent");
	set("as", pid, RLIMIT_AS, 80 * MB, 80 * MB);
	set("as raised", pid, RLIMIT_AS, RLIM_INFINITY, RLIM_INFINITY);
	fflush(stdout);
	if (write(go[1], "", 1) != 1)
		return 1;
	waitpid(pid, NULL, 0);
	return 0;
}
