// Random arguments, and files to be mapped.
#pragma once
#include "touch.h"

// Files, by number. Some descriptors can never be mapped, and some are none.
enum { DISK, DISK_RO, DISK_WO, DISK_APPEND, DISK_PATH, DIR, PIPE_R, PIPE_W, SOCKET, ZERO, NUL, MAPS, MEM, TMP, TMP_RO,
	MEMFD, MEMFD_LAST = MEMFD + 7, SECRET, EXE, EVENT, CLOSED, NEGATIVE, HUGE_FD, FILES };
#define FD(f) ((f) == NEGATIVE ? -1 : (f) == HUGE_FD ? 99999 : 100 + (f))

static void place(int f, long fd)
{
	if (fd >= 0 && fd != FD(f)) {
		CALL(SYS_dup2, fd, FD(f));
		CALL(SYS_close, fd);
	}
}

// openFiles opens all of them; the first image of a run also makes those that lie in a filesystem.
static void openFiles(int create)
{
	char tmp[300];
	struct out o = {tmp, 0, sizeof tmp, 1};
	str(&o, S.shm), put(&o, "/tmp.dat", 9);
	for (int i = 0; create && i < 2; i++) {
		char byte[PAGE];
		int fd = CALL(SYS_open, i ? tmp : "disk.dat", O_RDWR | O_CREAT | O_TRUNC, 0666);
		for (int p = 0; p < 16; p++) {
			memset(byte, 'a' + p, PAGE);
			CALL(SYS_write, fd, byte, PAGE);
		}
		CALL(SYS_write, fd, byte, 100);
		CALL(SYS_close, fd);
	}
	int pipes[2] = {-1, -1};
	CALL(SYS_pipe2, pipes, O_NONBLOCK);
	place(PIPE_R, pipes[0]);
	place(PIPE_W, pipes[1]);
	place(DISK, CALL(SYS_open, "disk.dat", O_RDWR));
	place(DISK_RO, CALL(SYS_open, "disk.dat", O_RDONLY));
	place(DISK_WO, CALL(SYS_open, "disk.dat", O_WRONLY));
	place(DISK_APPEND, CALL(SYS_open, "disk.dat", O_RDWR | O_APPEND));
	place(DISK_PATH, CALL(SYS_open, "disk.dat", O_PATH));
	place(DIR, CALL(SYS_open, ".", O_RDONLY | O_DIRECTORY));
	place(SOCKET, CALL(SYS_socket, 1, 1, 0));
	place(ZERO, CALL(SYS_open, "/dev/zero", O_RDWR));
	place(NUL, CALL(SYS_open, "/dev/null", O_RDWR));
	place(MAPS, CALL(SYS_open, "/proc/self/maps", O_RDONLY));
	place(MEM, CALL(SYS_open, "/proc/self/mem", O_RDWR));
	place(TMP, CALL(SYS_open, tmp, O_RDWR));
	place(TMP_RO, CALL(SYS_open, tmp, O_RDONLY));
	for (int i = 0; i <= MEMFD_LAST - MEMFD; i++) {
		static const u64 flags[] = {0, MFD_ALLOW_SEALING, MFD_ALLOW_SEALING, MFD_ALLOW_SEALING, 8 /* NOEXEC_SEAL */,
			16 /* EXEC */, MFD_HUGETLB, MFD_HUGETLB | MFD_ALLOW_SEALING | 21 << 26};
		static const u64 seals[] = {0, F_SEAL_WRITE, 16 /* FUTURE_WRITE */, F_SEAL_SHRINK | F_SEAL_GROW, 0, 0, 0, 16};
		long fd = CALL(SYS_memfd_create, "fuzz", noHuge(flags[i], MFD_HUGETLB | 63UL << 26));
		CALL(SYS_ftruncate, fd, flags[i] & MFD_HUGETLB ? 8 * MB : 16 * PAGE);
		if (seals[i])
			CALL(SYS_fcntl, fd, F_ADD_SEALS, seals[i]);
		place(MEMFD + i, fd);
	}
	long secret = CALL(447 /* memfd_secret */, 0);
	CALL(SYS_ftruncate, secret, 8 * PAGE);
	place(SECRET, secret);
	place(EXE, CALL(SYS_open, "/proc/self/exe", O_RDONLY));
	place(EVENT, CALL(SYS_eventfd2, 0, 0));
}

// slotOf returns a mapping whose place the kernel chose.
static int slotOf(struct ctx *c)
{
	int i = upto(&c->r, SLOTS);
	for (int k = 0; k < SLOTS && !c->slot[i].len; k++)
		i = (i + 1) % SLOTS;
	return i;
}

static u64 arena(struct ctx *c)
{
	if (c->hi)
		return c->lo + upto(&c->r, ARENA_PAGES) * PAGE;
	return ARENA + upto(&c->r, ARENA_PAGES) * PAGE;
}

static u64 address(struct ctx *c)
{
	struct rng *r = &c->r;
	u64 a = arena(c), n = upto(r, 100), k = upto(r, 8);
	int i = slotOf(c);
	if (c->hi)
		return a;
	if (n < 42 && c->slot[i].len) {
		u64 pages = c->slot[i].len / PAGE, off = upto(r, (pages < 12 ? pages : 12) + 1);
		if (k < 3)
			off = 0;
		else if (k == 3)
			off = pages;
		else if (k == 4)
			off = -1;
		a = c->slot[i].addr + off * PAGE;
	} else if (n > 95) {
		a = ARENA + GB + k * MB; // around huge pages
	} else if (n > 90) {
		a = S.brk0 + k * PAGE;
	} else if (n > 87) {
		a = 0x40000000 + k * PAGE; // where MAP_32BIT searches
	} else if (n > 85) {
		a = PICK(r, 0, PAGE, 15 * PAGE, 16 * PAGE, TASK_SIZE - PAGE, TASK_SIZE, 1UL << 47, 1UL << 48, 1UL << 63,
			 -PAGE, -1UL, 0xffffffffff600000);
	} else if (n > 81 && S.base) {
		a = S.base - (1 + k) * PAGE; // beside our own libraries
	}
	if (one(r, 40))
		a += upto(r, PAGE);
	return a;
}

static u64 length(struct ctx *c)
{
	struct rng *r = &c->r;
	if (c->hi)
		return (1 + upto(r, 8)) * PAGE;
	if (one(r, 50))
		return PICK(r, 0, -1UL, 1UL << 47, 1UL << 63, -PAGE, TASK_SIZE, TASK_SIZE - PAGE);
	if (has('B') && one(r, 4))
		return PICK(r, GB, 600 * MB, 25 * GB, 40 * GB, 1UL << 40, 30UL << 40, 100UL << 40);
	if (one(r, 12))
		return PICK(r, 1, PAGE - 1, PAGE + 1, 100);
	if (one(r, 12))
		return PICK(r, 2 * MB, 4 * MB, 2 * MB + PAGE, MB);
	return (1 + upto(r, 8)) * PAGE;
}

// span sets a range that often fits a mapping exactly.
static void span(struct ctx *c, u64 *a, u64 *l)
{
	int i = slotOf(c);
	*a = address(c), *l = length(c);
	if (!c->hi && one(&c->r, 3) && c->slot[i].len)
		*a = c->slot[i].addr, *l = c->slot[i].len;
	if (c->hi && *a + *l > c->hi)
		*l = c->hi - *a;
}

static u64 protection(struct ctx *c)
{
	struct rng *r = &c->r;
	if (one(r, 30))
		return upto(r, 16) | maybe(r, 4, PROT_GROWSDOWN) | maybe(r, 4, PROT_GROWSUP) | maybe(r, 9, 1 << 8);
	return PICK(r, 0, 1, 3, 3, 3, 3, 5, 7, 2, 4);
}

// call makes a call and prints it with its outcome.
static long call(struct ctx *c, const char *name, long nr, int n, u64 a, u64 b, u64 d, u64 e, u64 f, u64 g)
{
	u64 v[6] = {a, b, d, e, f, g};
	dec(c->out, c->at);
	str(c->out, " ");
	str(c->out, name);
	for (int i = 0; i < n; i++)
		str(c->out, i ? ", " : "("), hex(c->out, v[i]);
	str(c->out, n ? ")" : "()");
	long ret = sys(nr, a, b, d, e, f, g);
	result(c->out, ret);
	endLine(c);
	return ret;
}
#define DO_(c, name, a, b, d, e, f, g, n, ...) \
	call(c, #name, SYS_##name, n, (u64)(a), (u64)(b), (u64)(d), (u64)(e), (u64)(f), (u64)(g))
#define DO0(c, name) DO_(c, name, 0, 0, 0, 0, 0, 0, 0)
#define DO1(c, name, a) DO_(c, name, a, 0, 0, 0, 0, 0, 1)
#define DO2(c, name, a, b) DO_(c, name, a, b, 0, 0, 0, 0, 2)
#define DO3(c, name, a, b, d) DO_(c, name, a, b, d, 0, 0, 0, 3)
#define DO4(c, name, a, b, d, e) DO_(c, name, a, b, d, e, 0, 0, 4)
#define DO5(c, name, a, b, d, e, f) DO_(c, name, a, b, d, e, f, 0, 5)
#define DO6(c, name, a, b, d, e, f, g) DO_(c, name, a, b, d, e, f, g, 6)

static int failed(long ret) { return ret < 0 && ret > -4096; }

static void forget(struct ctx *c, u64 a)
{
	for (int i = 0; i < SLOTS; i++)
		if (c->slot[i].addr == a)
			c->slot[i].len = c->slot[i].addr = 0;
}

// keep remembers a mapping. What it displaces is unmapped, so that mappings do not become ever more.
static void keep(struct ctx *c, long addr, u64 len)
{
	if (failed(addr) || !safe(addr, len))
		return;
	int i = upto(&c->r, SLOTS);
	if (c->slot[i].len && safe(c->slot[i].addr, c->slot[i].len))
		DO2(c, munmap, c->slot[i].addr, c->slot[i].len);
	c->slot[i].addr = addr;
	c->slot[i].len = (len + PAGE - 1) & -PAGE;
}
