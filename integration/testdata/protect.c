// mprotect in every order over a range of small mappings, brk up and down, and code that is
// written, made executable and run, again and again.
//
// Shows: splitting and merging; faults are where the protection says; the heap's borders.
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf out;
static void on_fault(int sig) { siglongjmp(out, sig); }
static int can(volatile char *p, int write)
{
	if (sigsetjmp(out, 1))
		return 0;
	char c = *p;
	if (write)
		*p = c;
	return 1;
}

int main(void)
{
	signal(SIGSEGV, on_fault);
	enum { PAGES = 64 };
	char *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int want[PAGES];
	for (int i = 0; i < PAGES; i++)
		want[i] = PROT_READ | PROT_WRITE;
	static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC};
	uint32_t seed = 7;
	int wrong = 0;
	for (int round = 0; round < 400; round++) {
		seed = seed * 1103515245 + 12345;
		int from = (seed >> 8) % PAGES, n = 1 + (seed >> 16) % 12, prot = prots[(seed >> 24) % 4];
		if (from + n > PAGES)
			n = PAGES - from;
		if (mprotect(p + from * 4096, n * 4096, prot))
			return perror("mprotect"), 1;
		for (int i = from; i < from + n; i++)
			want[i] = prot;
		int i = (seed >> 4) % PAGES;
		wrong += can(p + i * 4096, 0) != (want[i] != PROT_NONE);
		wrong += can(p + i * 4096, 1) != !!(want[i] & PROT_WRITE);
	}
	printf("wrong %d\n", wrong);

	char *start = sbrk(0);
	long moved = 0;
	for (int i = 0; i < 300; i++) {
		intptr_t step = ((i * 37) % 100 - 45) * 1000;
		if ((char *)sbrk(0) + step < start)
			step = 5000;
		if (sbrk(step) == (void *)-1)
			return perror("sbrk"), 1;
		moved += step;
	}
	printf("heap %ld %d\n", moved, (char *)sbrk(0) - start == moved);
	printf("brk(0) fails %d, below %s\n", brk(NULL), brk(start - (1 << 30)) ? strerror(errno) : "ok");
	printf("too far %s\n", sbrk((intptr_t)1 << 46) == (void *)-1 ? strerror(errno) : "ok");

	unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long sum = 0;
	for (int i = 0; i < 100; i++) {
		mprotect(code, 4096, PROT_READ | PROT_WRITE);
		memcpy(code, (unsigned char[]){0xb8, i, 0, 0, 0, 0xc3}, 6); // mov eax, i; ret
		mprotect(code, 4096, PROT_READ | PROT_EXEC);
		sum += ((int (*)(void))code)();
	}
	printf("ran %ld\n", sum);
	int key = pkey_alloc(0, 0);
	int r = pkey_mprotect(p, 4096, PROT_READ, key);
	printf("pkey %s\n", key < 0 ? "not here" : r ? strerror(errno) : "ok");
	return 0;
}
