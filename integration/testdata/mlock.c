// mlock, mlock2, munlock, mlockall and MAP_LOCKED under a small RLIMIT_MEMLOCK.
//
// Shows: what counts as locked (VmLck), where the limit is, what a child inherits. Run as root the
// limit does not bind; both runs are the same user.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char *locked(void)
{
	static char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof line, f) && strncmp(line, "VmLck:", 6))
		;
	fclose(f);
	line[strcspn(line, "\n")] = 0;
	return line + 7;
}

static void show(const char *what, long r)
{
	printf("%s: %s, %s\n", what, r ? strerror(errno) : "ok", locked());
	fflush(stdout);
}

int main(void)
{
	struct rlimit limit = {256 << 10, 256 << 10};
	setrlimit(RLIMIT_MEMLOCK, &limit);
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	show("mlock", mlock(p, 65536));
	show("again", mlock(p, 65536));
	show("unaligned", mlock(p + 100, 10));
	show("up to the limit", mlock(p, 256 << 10));
	show("one page more", mlock(p + (256 << 10), 4096));
	show("munlock the middle", munlock(p + 16384, 16384));
	show("on fault", mlock2(p + (512 << 10), 8192, MLOCK_ONFAULT));
	show("bad flag", mlock2(p, 4096, 64));
	show("wraps", mlock(p, (size_t)-4096));
	munmap(p + (900 << 10), 4096);
	show("hole", mlock(p + (896 << 10), 16384));
	show("munlock all of it", munlock(p, 896 << 10));
	void *q = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	show("MAP_LOCKED", q == MAP_FAILED);
	q = mremap(q, 65536, 131072, MREMAP_MAYMOVE);
	show("mremap of locked memory", q == MAP_FAILED);
	void *big = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	show("MAP_LOCKED over the limit", big == MAP_FAILED);
	if (fork() == 0) {
		show("child", 0);
		exit(0);
	}
	wait(NULL);
	show("mlockall with nothing", mlockall(0));
	show("munlockall", munlockall());
	show("mlockall of the future", mlockall(MCL_FUTURE | MCL_ONFAULT));
	q = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	show("mapped locked", q == MAP_FAILED);
	show("munlockall", munlockall());
	return 0;
}
