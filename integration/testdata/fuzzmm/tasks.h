// Calls on tasks: threads, forks, vfork, clone with CLONE_VM, exec, another user.
#pragma once
#include "rare.h"
#include <unistd.h>
#include <sys/wait.h>

static struct ctx M; // of the serialised sequence
static char outBuf[256 << 10];
static char altStack[8][16 << 10], taskStack[8][64 << 10];

static void step(struct ctx *c);

static void seedCall(struct ctx *c) { c->r.s = mix(S.seed) + (u64)c->at * 0x100000; }

// some makes n further calls, as a child does with a sequence of its own.
static void some(struct ctx *c, u64 seed, int n)
{
	S.from = c->at >= S.from ? 0 : 1L << 60;
	S.seed = mix(S.seed ^ mix(seed));
	S.skip = "";
	S.depth++;
	for (c->at = 0; c->at < n; c->at++)
		step(c);
}

static void reap(struct ctx *c, long pid)
{
	int status = -1;
	long ret = CALL(SYS_wait4, pid, &status, __WALL, 0);
	str(c->out, "} status ");
	hex(c->out, ret == pid ? status : ret);
	endLine(c);
}

static void tell(struct ctx *c, const char *what)
{
	dec(c->out, c->at);
	str(c->out, " ");
	str(c->out, what);
}

static void doFork(struct ctx *c)
{
	int n = 3 + upto(&c->r, 20);
	tell(c, "fork {\n");
	flush(c->out);
	long pid = CALL(SYS_fork);
	if (pid == 0) {
		S.settled = 1;
		endLine(c);
		if (!one(&c->r, 3))
			some(c, c->at, n);
		flush(c->out);
		CALL(SYS_exit_group, n & 7);
	}
	reap(c, pid);
}

// doTurns has parent and child make calls in turn, and the parent limit the child.
static void doTurns(struct ctx *c)
{
	struct rng *r = &c->r;
	int up[2], down[2], n = 2 + upto(r, 6);
	char token = 0;
	tell(c, "fork, in turn {\n");
	flush(c->out);
	CALL(SYS_pipe, up);
	CALL(SYS_pipe, down);
	u64 seed = S.seed, at = c->at, from = S.from;
	const char *skip = S.skip;
	long pid = CALL(SYS_fork);
	int in = pid ? up[0] : down[0], to = pid ? down[1] : up[1];
	CALL(SYS_close, pid ? up[1] : down[1]);
	CALL(SYS_close, pid ? down[0] : up[0]);
	S.settled++; // neither leaves for another image
	for (int i = 0; i < n; i++) {
		if (pid == 0 && CALL(SYS_read, in, &token, 1) != 1)
			CALL(SYS_exit_group, 97);
		str(c->out, pid ? "parent:\n" : "child:\n");
		struct rng keep = *r;
		some(c, at * 100 + i * 2 + !pid, 1);
		*r = keep;
		S.seed = seed, c->at = at, S.from = from, S.skip = skip, S.depth--;
		if (pid && one(r, 3)) {
			u64 lim[2] = {PICK(r, 30 * MB, 8 * MB, PAGE * 16, 100 * PAGE), RLIM_INFINITY}, res = PICK(r, RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK);
			u64 old[2];
			CALL(SYS_prlimit64, pid, res, 0, old);
			lim[1] = old[1];
			if (lim[0] > lim[1])
				lim[0] = lim[1];
			str(c->out, "limit of the child "), hex(c->out, res), str(c->out, " to "), hex(c->out, lim[0]);
			result(c->out, CALL(SYS_prlimit64, pid, res, lim, 0));
			str(c->out, "\n");
		}
		flush(c->out);
		CALL(SYS_write, to, &token, 1);
		if (pid)
			CALL(SYS_read, in, &token, 1);
	}
	if (pid == 0)
		CALL(SYS_exit_group, 5);
	S.settled--;
	CALL(SYS_close, in);
	CALL(SYS_close, to);
	reap(c, pid);
}

// image executes this program again, with the rest of the sequence or one of its own.
static void image(struct ctx *c, long seed, long calls, long at, long depth)
{
	static char arg[8][32];
	char *argv[12];
	const long v[] = {seed, calls, at, depth, c->at >= S.from && at == 0 ? 0 : S.from};
	argv[0] = (char *)S.exe;
	for (int i = 0; i < 5; i++) {
		struct out o = {arg[i], 0, sizeof arg[i], 1};
		dec(&o, v[i]);
		put(&o, "", 1);
		argv[1 + i] = arg[i];
	}
	argv[6] = (char *)S.features;
	argv[7] = (char *)S.shm;
	argv[8] = at ? (char *)S.skip : "";
	argv[9] = NULL;
	CALL(SYS_execve, S.exe, argv, environ);
}

static int vforked(void *arg)
{
	image(&M, (long)arg, 40, 0, S.depth + 1);
	CALL(SYS_exit, 96);
	return 0;
}

static void doVfork(struct ctx *c)
{
	if (S.depth > 1)
		return;
	tell(c, "vfork and exec {\n");
	flush(c->out);
	reap(c, clone(vforked, taskStack[7] + sizeof taskStack[7], CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)(next(&c->r) >> 2)));
}

static void doExec(struct ctx *c)
{
	if (S.depth > 2)
		return;
	tell(c, "exec\n");
	flush(c->out);
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		u64 lim[2];
		CALL(SYS_getrlimit, i, lim);
		lim[0] = i == RLIMIT_STACK ? PICK(&c->r, 8 * MB, 8 * MB, 64 * MB, lim[1], lim[0]) : lim[1];
		if (lim[0] > lim[1] || lim[0] < 100 * PAGE)
			lim[0] = lim[1];
		if (i == RLIMIT_AS || i == RLIMIT_DATA || i == RLIMIT_STACK)
			CALL(SYS_setrlimit, i, lim);
	}
	image(c, S.seed, S.calls, c->at + 1, S.depth);
	str(c->out, "exec failed\n");
}

static int sharer(void *arg)
{
	stack_t ss = {.ss_sp = altStack[6], .ss_size = sizeof altStack[6]};
	CALL(SYS_sigaltstack, &ss, NULL);
	for (int i = 1 + (long)arg; i; i--)
		oneCall(&M);
	flush(M.out);
	CALL(SYS_exit, 4);
	return 0;
}

// doShare makes calls in another process that has this address space.
static void doShare(struct ctx *c)
{
	long n = upto(&c->r, 4);
	u64 flags = maybe(&c->r, 3, CLONE_FILES) | maybe(&c->r, 3, CLONE_FS) | maybe(&c->r, 3, CLONE_SYSVSEM);
	if (one(&c->r, 3))
		flags |= CLONE_SIGHAND;
	tell(c, "clone {\n");
	flush(c->out);
	reap(c, clone(sharer, taskStack[6] + sizeof taskStack[6], CLONE_VM | flags | maybe(&c->r, 2, SIGCHLD), (void *)n));
}

// Threads make a part of the calls, one at a time.
enum { WORKERS = 3 };
static struct {
	int job, done, alive;
	void (*f)(struct ctx *);
} worker[WORKERS];

static void sleepOn(int *word, int v)
{
	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == v)
		CALL(SYS_futex, word, FUTEX_WAIT_PRIVATE, v, 0);
}
static void wakeWith(int *word, int v)
{
	__atomic_store_n(word, v, __ATOMIC_SEQ_CST);
	CALL(SYS_futex, word, FUTEX_WAKE_PRIVATE, 10);
}

static int working(void *arg)
{
	long i = (long)arg;
	stack_t ss = {.ss_sp = altStack[1 + i], .ss_size = sizeof altStack[0]};
	CALL(SYS_sigaltstack, &ss, NULL);
	for (;;) {
		sleepOn(&worker[i].job, 0);
		worker[i].job = 0;
		worker[i].f(&M);
		wakeWith(&worker[i].done, 1);
	}
	return 0;
}

static void onWorker(struct ctx *c, int i, void (*f)(struct ctx *))
{
	if (!worker[i].alive) {
		clone(working, taskStack[i] + sizeof taskStack[i],
		      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, (void *)(long)i);
		worker[i].alive = 1;
	}
	worker[i].f = f;
	worker[i].done = 0;
	wakeWith(&worker[i].job, 1);
	sleepOn(&worker[i].done, 0);
}

static void becomeNobody(struct ctx *c)
{
	if (CALL(SYS_getuid) != 0 || S.settled)
		return;
	DO3(c, setresgid, 65534, 65534, 65534);
	DO3(c, setresuid, 65534, 65534, 65534);
}

static void taskCall(struct ctx *c)
{
	switch (upto(&c->r, 8)) {
	case 0:
	case 1:
		doFork(c);
		break;
	case 2:
		doTurns(c);
		break;
	case 3:
		doVfork(c);
		break;
	case 4:
	case 5:
		doShare(c);
		break;
	case 6:
		if (one(&c->r, 3) && !S.settled)
			doExec(c);
		break;
	default:
		if (has('U') && one(&c->r, 12))
			becomeNobody(c);
	}
}

// skipped reports whether the present call is left out: S.skip is "FROM-TO,FROM-TO,...".
static int skipped(struct ctx *c)
{
	for (const char *s = S.skip; *s;) {
		long v[2] = {0};
		for (int i = 0; i < 2; i++, s += *s != 0)
			while (*s >= '0' && *s <= '9')
				v[i] = v[i] * 10 + *s++ - '0';
		if (c->at >= v[0] && c->at <= v[1])
			return 1;
	}
	return 0;
}

static void step(struct ctx *c)
{
	if (*S.skip && skipped(c))
		return;
	seedCall(c);
	void (*f)(struct ctx *) = has('P') && one(&c->r, 70) ? taskCall : oneCall;
	if (has('T') && !S.settled && one(&c->r, 4))
		onWorker(c, upto(&c->r, WORKERS), f);
	else
		f(c);
	if (c->at % 100 == 99)
		printCounts(c);
}
