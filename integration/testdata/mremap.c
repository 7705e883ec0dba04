// mremap: growing in place and by moving, shrinking, MREMAP_FIXED over something, DONTUNMAP,
// duplicating shared memory by old size 0, parts of a mapping, several mappings, each errno.
//
// Shows: contents and neighbours after each of them, in a loop that always changes size.
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define P 4096
static char *map(size_t size, int flags)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

static void *show(const char *what, void *r)
{
	printf("%s: %s\n", what, r == MAP_FAILED ? strerror(errno) : "ok");
	return r;
}

int main(void)
{
	char *p = map(10 * P, MAP_PRIVATE), *q;
	for (int i = 0; i < 10; i++)
		p[i * P] = i + 1;
	q = show("shrink", mremap(p, 10 * P, 6 * P, 0));
	printf("in place %d\n", q == p);
	q = show("grow back into the gap", mremap(p, 6 * P, 10 * P, 0));
	printf("in place %d, new pages are empty %d\n", q == p, p[7 * P] == 0);
	p = show("move to grow", mremap(p, 10 * P, 4096 * P, MREMAP_MAYMOVE));
	printf("content %d %d\n", p[0], p[5 * P]);
	char *target = map(64 * P, MAP_PRIVATE);
	memset(target, 7, 64 * P);
	q = show("fixed", mremap(p, 4 * P, 8 * P, MREMAP_MAYMOVE | MREMAP_FIXED, target + 16 * P));
	printf("moved %d, before %d, after %d, content %d\n", q == target + 16 * P, target[15 * P], target[24 * P], q[3 * P]);
	show("the old place is gone", msync(p, P, MS_ASYNC) ? MAP_FAILED : p);
	show("fixed overlaps", mremap(target, 8 * P, 8 * P, MREMAP_MAYMOVE | MREMAP_FIXED, target + 4 * P));
	show("fixed without maymove", mremap(target, 8 * P, 8 * P, MREMAP_FIXED, target + 32 * P));
	show("unknown flag", mremap(target, 8 * P, 8 * P, 64));
	show("unaligned", mremap(target + 1, 8 * P, 8 * P, MREMAP_MAYMOVE));
	show("new size 0", mremap(target, 8 * P, 0, MREMAP_MAYMOVE));
	show("old size 0 of private", mremap(target, 0, P, MREMAP_MAYMOVE));
	show("too large", mremap(target, P, (size_t)1 << 47, MREMAP_MAYMOVE));
	char *s = map(4 * P, MAP_SHARED);
	s[P] = 42;
	char *twin = show("old size 0 of shared", mremap(s, 0, 4 * P, MREMAP_MAYMOVE));
	twin[2 * P] = 43;
	printf("twins %d %d %d\n", twin != s, twin[P], s[2 * P]);
	char *u = show("dontunmap", mremap(target, 8 * P, 8 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	printf("moved %d, left empty %d %d\n", u != target, u[0], target[0]);
	show("dontunmap with another size", mremap(target, 8 * P, 9 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	mprotect(u + 2 * P, P, PROT_READ);
	show("across two kinds", mremap(u, 4 * P, 8 * P, MREMAP_MAYMOVE));
	munmap(u + 4 * P, P);
	show("across a hole", mremap(u + 3 * P, 3 * P, 5 * P, MREMAP_MAYMOVE));
	q = show("middle of a mapping", mremap(target + 40 * P, 2 * P, 30 * P, MREMAP_MAYMOVE));
	printf("content %d, hole %d\n", q[P], msync(target + 40 * P, 2 * P, MS_ASYNC));

	// realloc in a circle: content must survive any sequence of sizes.
	uint32_t seed = 1;
	size_t size = P;
	char *r = map(size, MAP_PRIVATE);
	strcpy(r, "survivor");
	for (int i = 0; i < 600; i++) {
		seed = seed * 1103515245 + 12345;
		size_t next = (1 + (seed >> 16) % 200) * P;
		if (i % 7 == 0)
			map(P, MAP_PRIVATE); // an obstacle that stays
		char *moved = mremap(r, size, next, MREMAP_MAYMOVE);
		if (moved == MAP_FAILED || strcmp(moved, "survivor"))
			return printf("lost in round %d\n", i), 1;
		if (next > size && moved[size] != 0)
			return printf("not empty in round %d\n", i), 1;
		moved[next - 1] = 1;
		r = moved;
		size = next;
	}
	char *big = malloc(1 << 20);
	for (int i = 1; i < 60; i++)
		big = realloc(big, (size_t)(i % 20 + 1) << 19);
	free(big);
	puts("done");
	return 0;
}
