// Other ways than one sequence.
#pragma once
#include "tasks.h"

// hardLimits lowers the hard limits, within which this program itself still works.
static void hardLimits(void)
{
	struct rng r = {S.seed};
	static const int res[] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK};
	for (int i = 0; i < 4; i++) {
		u64 lim[2] = {i < 2 ? (20 + upto(&r, 40)) * MB : i == 2 ? 600 * 1024 + upto(&r, 3) * MB : upto(&r, 60) * PAGE};
		lim[1] = lim[0];
		if (!one(&r, 3))
			CALL(SYS_setrlimit, res[i], lim);
	}
}

// apart has threads make calls at the same time, each in a region of its own.
enum { APART = 4 };
static struct ctx thread[APART];
static struct out threadOut[APART];
static char threadBuf[APART][2 << 20];
static int finished[APART];

static int inRegion(void *arg)
{
	long i = (long)arg;
	struct ctx *c = &thread[i];
	stack_t ss = {.ss_sp = altStack[1 + i], .ss_size = sizeof altStack[0]};
	CALL(SYS_sigaltstack, &ss, NULL);
	for (c->at = 0; c->at < S.calls / APART; c->at++) {
		c->r.s = mix(S.seed + i) + (u64)c->at * 0x100000;
		oneCall(c);
	}
	wakeWith(&finished[i], 1);
	CALL(SYS_exit, 0);
	return 0;
}

static void apart(struct ctx *c)
{
	for (long i = 0; i < APART; i++) {
		threadOut[i] = (struct out){threadBuf[i], 0, sizeof threadBuf[i], 1};
		thread[i].out = &threadOut[i];
		thread[i].lo = ARENA + i * GB;
		thread[i].hi = thread[i].lo + ARENA_PAGES * PAGE;
		clone(inRegion, taskStack[i] + sizeof taskStack[i],
		      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, (void *)i);
	}
	for (int i = 0; i < APART; i++) {
		sleepOn(&finished[i], 0);
		str(c->out, "thread "), dec(c->out, i), str(c->out, "\n");
		put(c->out, threadBuf[i], 0);
		threadOut[i].keeps = 0;
		flush(c->out);
		flush(&threadOut[i]);
	}
	endLine(c);
}

// fill makes as many mappings as there may be (vm.max_map_count), and then goes on.
static void fill(struct ctx *c)
{
	long n = 0, ret, base = CALL(SYS_mmap, ARENA + 16 * GB, 140000 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	while ((ret = CALL(SYS_mprotect, base + (2 * n + 1) * PAGE, PAGE, PROT_READ)) == 0 && n < 60000)
		n++;
	str(c->out, "full after "), dec(c->out, n), result(c->out, ret);
	endLine(c);
	for (; c->at < S.calls; c->at++)
		step(c);
}
