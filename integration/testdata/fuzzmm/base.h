// What everything of fuzzmm stands on: system calls without libc between them and us (no errno, so
// that threads need no thread-local storage), random numbers, and output without malloc or stdio,
// which would make memory calls of their own.
#pragma once
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>

typedef uint64_t u64;
#define PAGE 4096UL
#define MB (1UL << 20)
#define GB (1UL << 30)
#define ARENA 0x10000000000UL // where calls with fixed addresses meet; it is small, so that they do
#define ARENA_PAGES 56
#define TASK_SIZE 0x7ffffffff000UL
#define BAD (1UL << 62) // no address: even the lowest pages may be mapped

static inline long sys(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	long ret;
	register u64 r10 __asm__("r10") = d;
	register u64 r8 __asm__("r8") = e;
	register u64 r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#define SYS_(nr, a, b, c, d, e, f, ...) sys(nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), (u64)(f))
#define CALL(nr, ...) SYS_(nr, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)

// Random numbers. Every call of a sequence has its own stream, so that leaving one out does not
// change the others.
struct rng {
	u64 s;
};
static u64 mix(u64 z)
{
	z += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}
static u64 next(struct rng *r) { return mix(r->s++); }
static u64 upto(struct rng *r, u64 n) { return next(r) % n; }
static int one(struct rng *r, u64 in) { return upto(r, in) == 0; }
#define PICK(r, ...) pick(r, (const u64[]){__VA_ARGS__}, sizeof((const u64[]){__VA_ARGS__}) / 8)
static u64 pick(struct rng *r, const u64 *v, size_t n) { return v[upto(r, n)]; }
// maybe returns the flag with probability 1/in.
static u64 maybe(struct rng *r, u64 in, u64 flag) { return one(r, in) ? flag : 0; }

// Output.
struct out {
	char *buf;
	size_t n, cap;
	int keeps; // it is printed at the end, by somebody else
};

static void flush(struct out *o)
{
	for (size_t done = 0; done < o->n;) {
		long n = CALL(SYS_write, 1, o->buf + done, o->n - done);
		if (n <= 0)
			CALL(SYS_exit_group, 98);
		done += n;
	}
	o->n = 0;
}

static void put(struct out *o, const char *s, size_t len)
{
	if (o->n + len > o->cap) {
		if (o->keeps)
			return;
		flush(o);
	}
	memcpy(o->buf + o->n, s, len);
	o->n += len;
}

static void str(struct out *o, const char *s) { put(o, s, strlen(s)); }

static void hex(struct out *o, u64 v)
{
	char b[16];
	int i = 16;
	do
		b[--i] = "0123456789abcdef"[v & 15];
	while (v >>= 4);
	put(o, b + i, 16 - i);
}

static void dec(struct out *o, long v)
{
	char b[20];
	int i = 20;
	if (v < 0)
		str(o, "-"), v = -v;
	do
		b[--i] = '0' + v % 10;
	while (v /= 10);
	put(o, b + i, 20 - i);
}

// result prints what a call returned: E and the errno, or the value.
static void result(struct out *o, long ret)
{
	str(o, " = ");
	if (ret < 0 && ret > -4096)
		str(o, "E"), dec(o, -ret);
	else
		hex(o, ret);
}

// What is known of one sequence of calls.
#define SLOTS 24
#define IDS 128
struct ctx {
	struct out *out;
	long at;      // number of the present call
	struct rng r; // of the present call
	u64 lo, hi;   // the fixed region of a thread that is not serialised, or 0 and 0
	struct {
		u64 addr, len;
	} slot[SLOTS]; // mappings whose place the kernel chose
	struct {
		u64 hash;
	} id[IDS]; // files seen in maps, in the order of their first appearance
	int ids;
	char text[32 << 10]; // of /proc/self/maps
	u64 last;	     // its hash
};

// Everything else that is shared. It is in .bss, as is all memory of our own.
static struct {
	u64 seed;
	long calls, from; // whole lists are printed from call number from on
	const char *features, *skip, *exe, *shm;
	long depth;
	u64 prot[64][2];
	int prots;
	u64 brk0; // where the heap starts
	u64 base; // of the lowest mapping of our own near the top
	int seals, forks, segs;
	long seg[8], segsize[8];
	u64 aio[4];
	int futureLock;
	int settled; // no more threads, no more changes of user
} S;

static int has(char f) { return strchr(S.features, f) != NULL; }

// noHuge takes flags away that ask for huge pages, where there are some: who gets them is chance.
static u64 noHuge(u64 flags, u64 huge) { return has('H') ? flags & ~huge : flags; }
