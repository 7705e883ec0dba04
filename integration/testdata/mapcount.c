// Maps until it is refused, in a child and in four threads at once, and then makes every call that
// would split a mapping.
//
// Shows: --limit map-count=N lets a process have one mapping more than N, as vm.max_map_count does,
// and a call that it refuses changes nothing.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char before[1 << 16], after[1 << 16];

// maps reads the list of mappings without making any.
static int maps(char *to)
{
	int fd = open("/proc/self/maps", O_RDONLY), lines = 0;
	long n, used = 0;
	while ((n = read(fd, to + used, sizeof before - 1 - used)) > 0)
		used += n;
	close(fd);
	to[used] = 0;
	for (char *p = to; *p; p++)
		lines += *p == '\n';
	return lines;
}

static pthread_barrier_t all; // the threads, and who made them: making one needs mappings

static void *fill(void *arg)
{
	long n;
	if (arg)
		pthread_barrier_wait(&all);
	for (n = 0; n < 1000; n++)
		if (mmap(NULL, 4096, (n + (long)arg) % 2 ? PROT_READ : PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
			break;
	return (void *)(long)(n < 1000 ? errno : 0);
}

static void refused(const char *name, long ret)
{
	int e = errno;
	maps(after);
	printf("%s: %s, %s\n", name, ret ? strerror(e) : "ok", strcmp(before, after) ? "changed" : "unchanged");
}

static int run(char *three)
{
	pthread_t t[4];
	int enomem = 0;
	pthread_barrier_init(&all, NULL, 5);
	for (long i = 0; i < 4; i++)
		if (pthread_create(&t[i], NULL, fill, (void *)(i + 1)))
			return 1;
	pthread_barrier_wait(&all);
	for (int i = 0; i < 4; i++) {
		void *e;
		pthread_join(t[i], &e);
		enomem += (long)e == ENOMEM;
	}
	fill(NULL); // a thread's end may have unmapped something
	printf("refused %d, mappings %d\n", enomem, maps(before));
	char *mid = three + 4096;
	refused("munmap", munmap(mid, 4096));
	refused("mprotect", mprotect(mid, 4096, PROT_NONE));
	refused("pkey_mprotect", syscall(SYS_pkey_mprotect, mid, 4096, PROT_NONE, -1));
	refused("madvise", madvise(mid, 4096, MADV_DONTFORK));
	refused("mlock", mlock(mid, 4096));
	refused("mremap", mremap(mid, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED);
	refused("MAP_FIXED", mmap(mid, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);
	char *brk = sbrk(0);
	refused("brk", syscall(SYS_brk, brk + (1 << 20)) == (long)brk);
	refused("mprotect of all", mprotect(three, 3 * 4096, PROT_READ));
	return 0;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("start");
	// Shared memory is an object of its own, and merges with nothing.
	char *three = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fork() == 0)
		_exit(run(three));
	int status;
	wait(&status);
	return run(three) | status;
}
