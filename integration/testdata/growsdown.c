// MAP_GROWSDOWN mappings grow by faults below them, keep the guard gap to what is there, and stop
// where they may grow no more.
//
// Shows: growth without a call in a mapping that is no stack of ours, and the faults that must not
// be answered by growing.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

static sigjmp_buf out;
static void on_segv(int sig) { siglongjmp(out, sig); }

// touch writes a byte and tells what came of it.
static const char *touch(char *p)
{
	if (sigsetjmp(out, 1))
		return "fault";
	*(volatile char *)p = 1;
	return "ok";
}

static char *map(char *at, size_t size, int flags)
{
	return mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

int main(void)
{
	signal(SIGSEGV, on_segv);
	char *top = (char *)0x200000000000;
	char *p = map(top, 8192, MAP_FIXED | MAP_GROWSDOWN);
	printf("mapped %d\n", p == top);
	printf("first page %s\n", touch(p));
	printf("one below %s\n", touch(p - 1));
	for (int i = 2; i < 40; i++)
		if (strcmp(touch(p - i * 4096), "ok"))
			printf("page %d faults\n", i);
	// There is no room any more in the gap that has come down with it; below that there is.
	for (int i = 290; i <= 300; i += 10) {
		char *q = map(top - i * 4096, 4096, 0);
		printf("%d pages below: there %d\n", i, q == top - i * 4096);
		munmap(q, 4096);
	}
	printf("unmap the grown part %d\n", munmap(p - 39 * 4096, 20 * 4096));
	printf("again %s\n", touch(p - 20 * 4096));
	printf("far below %s\n", touch(p - (1 << 30)));
	// Something 300 pages below: the gap of 256 pages is kept.
	char *wall = map(top - 300 * 4096, 4096, MAP_FIXED);
	printf("wall %d\n", wall == top - 300 * 4096);
	int grown = 20;
	while (grown < 400 && !strcmp(touch(p - grown * 4096), "ok"))
		grown++;
	printf("grew to %d\n", grown);
	printf("protect %d\n", mprotect(p, 4096, PROT_READ | PROT_GROWSDOWN));
	printf("read only below %s\n", touch(p - 4096));
	errno = 0;
	printf("growsup %d", mprotect(p, 4096, PROT_READ | PROT_GROWSUP));
	printf(" %s\n", strerror(errno));
	printf("exec can see it %d\n", munmap(top - (1 << 21), (1 << 21) + 8192));
	return 0;
}
