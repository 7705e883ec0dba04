// The calls on mappings.
#pragma once
#include "gen.h"

#ifndef SYS_map_shadow_stack
#define SYS_map_shadow_stack 453
#endif
#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450
#endif

static void doMmap(struct ctx *c)
{
	struct rng *r = &c->r;
	u64 len = length(c), prot = protection(c), addr = one(r, 3) ? 0 : address(c), off = 0;
	u64 flags = PICK(r, MAP_PRIVATE, MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED);
	if (one(r, 20))
		flags = PICK(r, 3 /* SHARED_VALIDATE */, 8 /* DROPPABLE */, 0, 9, 0xf);
	flags |= maybe(r, 8, MAP_NORESERVE) | maybe(r, 25, MAP_GROWSDOWN) | maybe(r, 25, MAP_STACK) | maybe(r, 25, MAP_32BIT) |
		 maybe(r, 25, 0x80 /* ABOVE4G */) | maybe(r, 25, 0x100000 /* FIXED_NOREPLACE */) | maybe(r, 25, MAP_NONBLOCK) |
		 maybe(r, 60, 0x80000 /* SYNC */) | maybe(r, 60, MAP_DENYWRITE) | maybe(r, 60, 1UL << (21 + upto(r, 11)));
	if (has('L') && len < 16 * MB)
		flags |= maybe(r, 9, MAP_LOCKED) | maybe(r, 9, MAP_POPULATE);
	if (one(r, 25))
		flags |= MAP_HUGETLB | PICK(r, 0, 21UL << 26, 30UL << 26, 16UL << 26, 63UL << 26);
	flags = noHuge(flags, MAP_HUGETLB);
	if (addr && !one(r, 3))
		flags |= MAP_FIXED;
	int f = upto(r, FILES);
	if (!has('F') || !one(r, 3)) {
		flags |= MAP_ANONYMOUS;
		f = one(r, 4) ? f : NEGATIVE;
	} else {
		off = upto(r, 4) * PAGE;
		if (one(r, 50))
			off = PICK(r, 1, 1UL << 63, 1UL << 62, -PAGE, 16 * PAGE, 1UL << 44, 0x7fffffffffff000);
	}
	if (c->hi) {
		flags = (flags | MAP_FIXED) & ~(MAP_GROWSDOWN | MAP_HUGETLB | 0x100000UL);
		addr = arena(c);
		if (addr + len > c->hi)
			len = c->hi - addr;
		DO6(c, mmap, addr, len, prot, flags, FD(f), off);
		return;
	}
	if (flags & MAP_FIXED && !safe(addr, len + 2 * MB))
		return;
	long ret = DO6(c, mmap, addr, len, prot, flags, FD(f), off);
	if (!(flags & MAP_FIXED))
		keep(c, ret, flags & MAP_HUGETLB ? (len + 2 * MB - 1) & -(2 * MB) : len);
}

static void doMunmap(struct ctx *c)
{
	u64 a, l;
	span(c, &a, &l);
	if (!c->hi && one(&c->r, 40))
		a = ARENA, l = 2 * GB;
	if (safe(a, l) && DO2(c, munmap, a, l) == 0)
		forget(c, a);
}

static void doMprotect(struct ctx *c)
{
	struct rng *r = &c->r;
	u64 a, l, p = protection(c);
	span(c, &a, &l);
	if (!c->hi && one(r, 25)) {
		// Some of our own memory, which stays accessible.
		int i = upto(r, S.prots);
		a = S.prot[i][0], l = S.prot[i][1] - a;
		a += upto(r, l / PAGE) * PAGE;
		if (l < 20 * MB)
			DO3(c, mprotect, a, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
		return;
	}
	if (!safe(a, l))
		return;
	if (one(r, 6))
		DO4(c, pkey_mprotect, a, l, p, PICK(r, -1, 0xffffffff, 0, 0, 1, 15, 16));
	else
		DO3(c, mprotect, a, l, p);
}

static void doMremap(struct ctx *c)
{
	struct rng *r = &c->r;
	u64 a, l, nl, flags = MREMAP_MAYMOVE, to = 0;
	span(c, &a, &l);
	nl = l;
	switch (upto(r, 4)) {
	case 0:
		nl = length(c);
		break;
	case 1:
		nl = l + (1 + upto(r, 4)) * PAGE;
		break;
	case 2:
		if (l > PAGE)
			nl = PAGE * (1 + upto(r, l / PAGE < 16 ? l / PAGE : 16));
	}
	if (one(r, 12))
		l = 0;
	if (one(r, 8))
		flags = 0;
	if (one(r, 2) || c->hi)
		flags |= MREMAP_FIXED, to = address(c);
	if (one(r, 5)) {
		flags |= 4; // DONTUNMAP
		nl = one(r, 8) ? nl : l;
		if (one(r, 2))
			to = address(c);
	}
	if (one(r, 60))
		flags = upto(r, 16);
	if (!safe(a, l > nl ? l : nl) || !safe(to, nl))
		return;
	if (c->hi && (a + nl > c->hi || a + l > c->hi || to + nl > c->hi || !(flags & MREMAP_FIXED) || to + l > c->hi))
		return;
	long ret = DO5(c, mremap, a, l, nl, flags, to);
	if (!failed(ret) && !c->hi) {
		forget(c, a);
		keep(c, ret, nl);
	}
}

// advice that needs a mapping to be our own or changes contents is left to safe ranges.
static void doMadvise(struct ctx *c)
{
	struct rng *r = &c->r;
	u64 a, l, adv = PICK(r, 0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19);
	span(c, &a, &l);
	if (one(r, 3))
		adv = PICK(r, 3, 4, 8, 9, 20, 21, 22, 23, 24, 102, 103);
	if (one(r, 40))
		adv = PICK(r, 5, 6, 7, 25, 26, 27, 30, 99, 104, 1000, -1UL, 1UL << 32 | 14);
	if (adv == 25 && l >= 2 * MB)
		return; // whether huge pages can be had is a matter of chance
	if (has('B') && (adv == 22 || adv == 23 || adv == 102 || adv == 103 || adv == 3 || adv == 13))
		return;
	if (!c->hi && one(r, 20)) {
		// Our own memory bears advice about how it is used.
		int i = upto(r, S.prots);
		a = S.prot[i][0] + upto(r, (S.prot[i][1] - S.prot[i][0]) / PAGE) * PAGE, l = PAGE * (1 + upto(r, 4));
		adv = PICK(r, 0, 1, 2, 3, 11, 12, 13, 14, 15, 16, 17);
	} else if (!safe(a, l)) {
		return;
	}
	if (one(r, 14) && !c->hi) {
		struct iovec v[2] = {{(void *)a, l}, {(void *)arena(c), PAGE}};
		long self = CALL(SYS_getpid), fd = CALL(SYS_pidfd_open, self, 0);
		if ((long)adv > 0 && adv < 1UL << 32)
			DO5(c, process_madvise, one(r, 30) ? -1 : fd, v, PICK(r, 0, 1, 2, 2), adv, maybe(r, 20, 1));
		CALL(SYS_close, fd);
		return;
	}
	DO3(c, madvise, a, l, adv);
}

static void doLock(struct ctx *c)
{
	struct rng *r = &c->r;
	u64 a, l;
	span(c, &a, &l);
	if (!has('L'))
		return;
	if (!safe(a, l) && one(r, 2))
		a = S.prot[upto(r, S.prots)][0], l = PAGE * 3;
	if (l > GB && l < 1UL << 46)
		return;
	switch (upto(r, c->hi ? 7 : 9)) {
	case 0:
	case 1:
	case 2:
		DO2(c, mlock, a, l);
		break;
	case 3:
		DO3(c, mlock2, a, l, upto(r, 3));
		break;
	case 7:
		if (one(r, 2))
			DO1(c, mlockall, upto(r, 9));
		break;
	case 8:
		DO0(c, munlockall);
		break;
	default:
		DO2(c, munlock, a, l);
	}
}

static void doBrk(struct ctx *c)
{
	struct rng *r = &c->r;
	u64 now = CALL(SYS_brk, 0), to = now + upto(r, 4 * PAGE);
	if (one(r, 3))
		to = now - upto(r, 3 * PAGE);
	if (one(r, 10))
		to = S.brk0 + upto(r, 3) * PAGE;
	if (one(r, 20))
		to = PICK(r, 0, S.brk0 - 1, S.brk0, -1UL, TASK_SIZE, ARENA, now + 3 * MB, S.brk0 + (has('B') ? 60 * GB : 0));
	if (c->hi)
		return;
	if (to < S.brk0 || safe(S.brk0, to - S.brk0) || to > now)
		DO1(c, brk, to);
}

static void doNuma(struct ctx *c)
{
	struct rng *r = &c->r;
	u64 a, l, mask = PICK(r, 1, 1, 1, 0, 2, 3, -1UL);
	u64 mode = upto(r, 8) | maybe(r, 20, 1 << 13) | maybe(r, 20, 1 << 14) | maybe(r, 20, 1 << 15);
	span(c, &a, &l);
	if (!has('N'))
		return;
	switch (upto(r, 6)) {
	case 0:
		if (!c->hi)
			DO3(c, set_mempolicy, mode, one(r, 20) ? BAD : one(r, 4) ? 0 : (u64)&mask, PICK(r, 64, 64, 2, 1, 0, 5000000));
		break;
	case 1:
		DO4(c, set_mempolicy_home_node, a, l, PICK(r, 0, 0, 0, 1, 1000), maybe(r, 10, 1));
		break;
	default:
		if (safe(a, l))
			DO6(c, mbind, a, l, mode, one(r, 20) ? BAD : one(r, 4) ? 0 : (u64)&mask, PICK(r, 64, 64, 64, 2, 1, 0, 5000000),
			    maybe(r, 6, 1) | maybe(r, 6, 2) | maybe(r, 20, 4) | maybe(r, 40, 8));
	}
}

static void doTouch(struct ctx *c)
{
	struct rng *r = &c->r;
	u64 a = address(c), n = 1;
	int write = one(r, 2);
	if (!has('G'))
		return;
	if (!c->hi && one(r, 8)) {
		// The stack grows, to its limit and to what is in its way.
		a = stackLow(c);
		a -= PICK(r, 1, PAGE, 8 * PAGE, 100 * PAGE, 200 * PAGE, 300 * PAGE, 7 * MB, 9 * MB);
		if (one(r, 4)) {
			DO6(c, mmap, (a & -PAGE) - PICK(r, 1, 8, 200, 256, 257, 300) * PAGE, PAGE, protection(c),
			    MAP_PRIVATE | MAP_ANONYMOUS | 0x100000 | maybe(r, 4, MAP_GROWSDOWN), -1, 0);
		}
	} else if (!safe(a, 1)) {
		return;
	} else if (one(r, 3)) {
		n = 1 + upto(r, 6);
		a -= one(r, 3) && safe(a - n * PAGE, 1) ? n * PAGE : 0; // also what grows downwards
	}
	while (n--)
		if (n == 0 || safe(a + n * PAGE, 1))
			touch(c, a + n * PAGE, write);
}
