// The rarer calls: shared memory, rings, files, limits, what a process is asked about.
#pragma once
#include "calls.h"

static void doShm(struct ctx *c)
{
	struct rng *r = &c->r;
	int i = upto(r, 8), k = upto(r, 4);
	u64 at = one(r, 2) ? 0 : address(c);
	if (!has('S') || c->hi)
		return;
	if (k == 0 || S.seg[i] < 0) {
		// Identifiers differ from run to run: a segment is printed by its place.
		u64 size = PICK(r, 1, 5 * PAGE + 1, 100000, 2 * MB, 0, PAGE);
		u64 flags = IPC_CREAT | PICK(r, 0600, 0600, 0666, 0400, 0) | maybe(r, 10, SHM_NORESERVE) | maybe(r, 20, SHM_HUGETLB);
		flags = noHuge(flags, SHM_HUGETLB);
		dec(c->out, c->at);
		str(c->out, " shmget(");
		hex(c->out, size), str(c->out, ", "), hex(c->out, flags), str(c->out, ")");
		if (S.seg[i] >= 0)
			CALL(SYS_shmctl, S.seg[i], IPC_RMID, 0);
		S.seg[i] = CALL(SYS_shmget, IPC_PRIVATE, size, flags);
		S.segsize[i] = size;
		result(c->out, S.seg[i] < 0 ? S.seg[i] : i);
		endLine(c);
		return;
	}
	u64 flags = maybe(r, 3, SHM_RDONLY) | maybe(r, 3, SHM_REMAP) | maybe(r, 3, SHM_RND) | maybe(r, 8, SHM_EXEC) | maybe(r, 20, 1 << 30);
	if (flags & SHM_REMAP && !safe(at & -PAGE, 2 * MB))
		return;
	dec(c->out, c->at);
	str(c->out, k == 1 ? " shmctl(RMID " : " shmat(");
	dec(c->out, i);
	long ret;
	if (k == 1) {
		ret = CALL(SYS_shmctl, S.seg[i], IPC_RMID, 0); // what is attached stays
	} else {
		str(c->out, ", "), hex(c->out, at), str(c->out, ", "), hex(c->out, flags);
		ret = CALL(SYS_shmat, one(r, 30) ? -1 : S.seg[i], at, flags);
	}
	str(c->out, ")");
	result(c->out, ret);
	endLine(c);
	if (k == 1)
		S.seg[i] = -1;
	else if (!(flags & SHM_REMAP))
		keep(c, ret, S.segsize[i]);
}

static void doAio(struct ctx *c)
{
	int i = upto(&c->r, 4);
	if (!has('A') || c->hi)
		return;
	if (!S.aio[i]) {
		DO2(c, io_setup, PICK(&c->r, 0, 1, 8, 60, 100, 200), one(&c->r, 20) ? BAD : (u64)&S.aio[i]);
		return;
	}
	// The kernel reads the ring: elsewhere this would be a fault of its own.
	DO1(c, io_destroy, S.aio[i]);
	S.aio[i] = 0;
}

static void doFile(struct ctx *c)
{
	struct rng *r = &c->r;
	int f = MEMFD + upto(r, MEMFD_LAST - MEMFD + 1);
	u64 size = upto(r, 20) * PAGE + maybe(r, 3, 100);
	if (!has('F') || c->hi)
		return;
	switch (upto(r, 4)) {
	case 0:
		DO2(c, ftruncate, FD(PICK(r, DISK, TMP, f, f, f)), size);
		break;
	case 1:
		DO3(c, fcntl, FD(f), F_ADD_SEALS, PICK(r, 16, F_SEAL_WRITE, F_SEAL_GROW, F_SEAL_SHRINK, 32, F_SEAL_SEAL));
		break;
	case 2:
		DO4(c, fallocate, FD(PICK(r, TMP, f, DISK)), PICK(r, 0, 1, 3), upto(r, 10) * PAGE, (1 + upto(r, 5)) * PAGE);
		break;
	default:
		CALL(SYS_close, FD(f));
		u64 flags = PICK(r, 0, MFD_ALLOW_SEALING, 8, 16, 24, MFD_HUGETLB, MFD_HUGETLB | 21 << 26, MFD_HUGETLB | MFD_ALLOW_SEALING, 1 << 9);
		flags = noHuge(flags, MFD_HUGETLB | 63UL << 26);
		long fd = DO2(c, memfd_create, "another", flags);
		if (!failed(fd)) {
			CALL(SYS_ftruncate, fd, flags & MFD_HUGETLB ? 8 * MB : size);
			place(f, fd);
		}
	}
}

static void sizeNow(struct ctx *c, const struct line *l, void *arg)
{
	u64 *v = arg, n = 0;
	const char *p = l->text;
	for (int i = 0; i < 6; i++, n = 0) {
		while (*p >= '0' && *p <= '9')
			n = n * 10 + *p++ - '0';
		v[i] = n, p++;
	}
}

// doLimit sets a limit near what is used, or lifts it.
static void doLimit(struct ctx *c)
{
	struct rng *r = &c->r;
	u64 v[6], lim[2], old[2], res = PICK(r, RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK);
	if (!has('R') || c->hi)
		return;
	eachLine(c, "/proc/self/statm", sizeNow, v);
	CALL(SYS_getrlimit, res, lim);
	if (one(r, 2))
		lim[0] = lim[1];
	else if (res == RLIMIT_AS)
		lim[0] = (v[0] + upto(r, 20)) * PAGE + maybe(r, 2, 100);
	else if (res == RLIMIT_DATA)
		lim[0] = (v[5] - 33 + upto(r, 20)) * PAGE;
	else if (res == RLIMIT_STACK)
		lim[0] = PICK(r, 100 * PAGE, 8 * MB, 4 * MB, 1000 * PAGE + 5, 64 * MB);
	else
		lim[0] = PICK(r, 0, PAGE, 16 * PAGE, 64 * PAGE + 1, 3 * MB);
	if (lim[0] > lim[1] && !one(r, 10))
		lim[0] = lim[1];
	str(c->out, "limit "), hex(c->out, res), str(c->out, " to "), hex(c->out, lim[0]), str(c->out, "\n");
	if (one(r, 2))
		DO2(c, setrlimit, res, one(r, 30) ? BAD : (u64)lim);
	else
		DO4(c, prlimit64, 0, res, lim, one(r, 2) ? 0 : (u64)old);
}

static void doAsk(struct ctx *c)
{
	struct rng *r = &c->r;
	u64 a, l;
	span(c, &a, &l);
	if (c->hi)
		return;
	switch (upto(r, 8)) {
	case 0:
		if (has('M'))
			DO5(c, prctl, 65 /* SET_MDWE */, S.depth && one(r, 4) ? 1 : PICK(r, 0, 2, 4, 8), maybe(r, 10, 1), 0, 0);
		break;
	case 1:
		DO5(c, prctl, PR_SET_THP_DISABLE, upto(r, 2), maybe(r, 3, 2), maybe(r, 10, 1), 0);
		break;
	case 2:
		DO5(c, prctl, 67 /* SET_MEMORY_MERGE */, has('B') ? 1 : upto(r, 2), maybe(r, 10, 1), 0, 0); // to end it takes long in terabytes
		break;
	case 3:
		DO5(c, prctl, PICK(r, 66 /* GET_MDWE */, 68, PR_GET_THP_DISABLE, PR_GET_DUMPABLE), maybe(r, 10, 1), 0, 0, 0);
		break;
	case 4:
		DO5(c, prctl, PR_SET_VMA, maybe(r, 10, 1), a, l, one(r, 5) ? 0 : one(r, 10) ? BAD : (u64) "name");
		break;
	case 5:
		if (has('M')) // the bit for no randomization stays
			DO1(c, personality, PICK(r, 0xffffffff, 0x0040000, 0x0040000, 0x0440000, 0x0240000, 0x0140000));
		break;
	case 6:
		if (has('D'))
			DO5(c, prctl, PR_SET_DUMPABLE, upto(r, 3), 0, 0, 0);
		break;
	default:
		DO2(c, pkey_alloc, maybe(r, 5, 1), upto(r, 4));
		DO1(c, pkey_free, PICK(r, 0, 1, 15, 16, -1UL));
	}
}

static void doOther(struct ctx *c)
{
	struct rng *r = &c->r;
	u64 a, l;
	span(c, &a, &l);
	switch (upto(r, 7)) {
	case 0:
	case 1:
		DO3(c, msync, a, l, one(r, 20) ? 1UL << 32 : upto(r, 9));
		break;
	case 2:
		if (safe(a, l) && !c->hi && l < GB) // it populates
			DO5(c, remap_file_pages, a, l, maybe(r, 20, 1), upto(r, 6), maybe(r, 4, MAP_NONBLOCK));
		break;
	case 3:
		if (has('Z') && !c->hi && S.seals < 3 && safe(a, l) && l < MB)
			S.seals++, DO3(c, mseal, a, l, maybe(r, 10, 1));
		break;
	case 4:
		if (!c->hi)
			DO3(c, map_shadow_stack, a, l, upto(r, 3));
		break;
	case 5:
		if (!c->hi && safe(a, 2 * MB))
			DO1(c, shmdt, a);
		break;
	default:
		if (l < 16 * MB && safe(a, l)) {
			static char vec[16 * MB / PAGE + 1];
			DO3(c, mincore, a, l, vec);
		}
	}
}

// oneCall makes one random call; those on other tasks are in tasks.h.
static void oneCall(struct ctx *c)
{
	u64 n = upto(&c->r, 100);
	if (n < 26)
		doMmap(c);
	else if (n < 32)
		doMunmap(c);
	else if (n < 41)
		doMprotect(c);
	else if (n < 54)
		doMremap(c);
	else if (n < 65)
		doMadvise(c);
	else if (n < 72)
		doLock(c);
	else if (n < 75)
		doBrk(c);
	else if (n < 79)
		doNuma(c);
	else if (n < 85)
		doTouch(c);
	else if (n < 88)
		doShm(c);
	else if (n < 89)
		doAio(c);
	else if (n < 92)
		doFile(c);
	else if (n < 94)
		doLimit(c);
	else if (n < 96)
		doAsk(c);
	else
		doOther(c);
}
