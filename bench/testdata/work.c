// work NAME COUNT: makes one kind of call COUNT times, and prints what one costs, in nanoseconds.
//
// What is timed is the calls alone. Where two kinds alternate (mmap and munmap), each is timed in bursts of BURST,
// so that looking at the clock does not matter.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, BURST = 32, SIZE = 4 * PAGE, CROWD = 20000 };

static char *self;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static char *map(size_t size, int prot, int flags, int fd)
{
	char *p = mmap(NULL, size, prot, flags, fd, 0);
	if (p == MAP_FAILED)
		fail("mmap");
	return p;
}

static char *anonymous(size_t size) { return map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1); }

static void unmap(char *p, size_t size)
{
	if (munmap(p, size) != 0)
		fail("munmap");
}

// bursts returns the time of n calls of mmap, or of the munmap that undoes them.
static double bursts(long n, int timed_munmap, int touch, int fd)
{
	double total = 0;
	char *p[BURST];
	for (long i = 0; i < n; i += BURST) {
		double t0 = now();
		for (int k = 0; k < BURST; k++) {
			p[k] = fd < 0 ? anonymous(SIZE) : map(SIZE, PROT_READ, MAP_PRIVATE, fd);
			for (int at = 0; touch && at < SIZE; at += PAGE)
				p[k][at] = 1;
		}
		double t1 = now();
		for (int k = 0; k < BURST; k++)
			unmap(p[k], SIZE);
		total += timed_munmap ? now() - t1 : t1 - t0;
		if (touch)
			total += now() - t1;
	}
	return total;
}

static double w_mmap(long n) { return bursts(n, 0, 0, -1); }
static double w_munmap(long n) { return bursts(n, 1, 0, -1); }
static double w_touch(long n) { return bursts(n, 0, 1, -1); }

static double w_file(long n)
{
	int fd = open(self, O_RDONLY);
	if (fd < 0)
		fail(self);
	return bursts(n, 0, 0, fd);
}

static double w_mprotect(long n)
{
	char *p = anonymous(16 * PAGE);
	double t = now();
	for (long i = 0; i < n; i++)
		if (mprotect(p + 4 * PAGE, 4 * PAGE, i & 1 ? PROT_READ | PROT_WRITE : PROT_READ) != 0)
			fail("mprotect");
	return now() - t;
}

static double w_brk(long n)
{
	char *end = sbrk(0);
	double t = now();
	for (long i = 0; i < n; i++)
		if (brk(i & 1 ? end : end + 16 * PAGE) != 0)
			fail("brk");
	return now() - t;
}

static double w_mlock(long n)
{
	char *p = anonymous(PAGE);
	*p = 1;
	double t = now();
	for (long i = 0; i < n; i++)
		if ((i & 1 ? munlock(p, PAGE) : mlock(p, PAGE)) != 0)
			fail("mlock");
	return now() - t;
}

static double w_madvise(long n)
{
	char *p = anonymous(4 * PAGE);
	double t = now();
	for (long i = 0; i < n; i++)
		if (madvise(p, 4 * PAGE, MADV_DONTNEED) != 0)
			fail("madvise");
	return now() - t;
}

// Pairs among CROWD mappings that do not merge, at random places.
static double w_churn(long n)
{
	static char *p[CROWD];
	unsigned seed = 1;
	for (int i = 0; i < CROWD; i++)
		p[i] = map(PAGE, i & 1 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	double t = now();
	for (long i = 0; i < n; i += 2) {
		int k = rand_r(&seed) % CROWD;
		unmap(p[k], PAGE);
		p[k] = map(PAGE, k & 1 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	}
	return now() - t;
}

static void pairs(long n)
{
	for (long i = 0; i < n; i += 2)
		unmap(anonymous(SIZE), SIZE);
}

static void *pairs_thread(void *n)
{
	pairs((long)n);
	return NULL;
}

static double w_threads(long n)
{
	pthread_t t[4];
	double t0 = now();
	for (int i = 0; i < 4; i++)
		if (pthread_create(&t[i], NULL, pairs_thread, (void *)(n / 4)) != 0)
			fail("pthread_create");
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	return now() - t0;
}

static void *idle(void *arg)
{
	pause();
	return arg;
}

// An mmap of a process that has another thread, which sleeps.
static double w_mmap2(long n)
{
	pthread_t t;
	if (pthread_create(&t, NULL, idle, NULL) != 0)
		fail("pthread_create");
	return bursts(n, 0, 0, -1);
}

static void await(pid_t pid)
{
	int status;
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fail("child");
}

static double w_procs(long n)
{
	pid_t pid[4];
	double t0 = now();
	for (int i = 0; i < 4; i++)
		if ((pid[i] = fork()) == 0) {
			pairs(n / 4);
			_exit(0);
		}
	for (int i = 0; i < 4; i++)
		await(pid[i]);
	return now() - t0;
}

static double w_fork(long n)
{
	double t = now();
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		await(pid);
	}
	return now() - t;
}

static double w_exec(long n)
{
	double t = now();
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			execl("/bin/true", "true", NULL);
			_exit(127);
		}
		await(pid);
	}
	return now() - t;
}

static double w_getppid(long n)
{
	double t = now();
	for (long i = 0; i < n; i++)
		syscall(SYS_getppid);
	return now() - t;
}

static double w_cpu(long n)
{
	double t = now();
	for (volatile long i = 0; i < n; i++)
		;
	return now() - t;
}

static const struct {
	const char *name;
	double (*run)(long n);
} works[] = {
	{"mmap", w_mmap}, {"munmap", w_munmap}, {"touch", w_touch}, {"file", w_file}, {"mprotect", w_mprotect}, {"brk", w_brk},
	{"mlock", w_mlock}, {"madvise", w_madvise}, {"churn", w_churn}, {"mmap2", w_mmap2}, {"threads", w_threads}, {"procs", w_procs},
	{"fork", w_fork}, {"exec", w_exec}, {"getppid", w_getppid}, {"cpu", w_cpu},
};

int main(int argc, char **argv)
{
	self = argv[0];
	long n = argc == 3 ? atol(argv[2]) : 0;
	for (size_t i = 0; n > 0 && i < sizeof works / sizeof *works; i++)
		if (strcmp(works[i].name, argv[1]) == 0) {
			works[i].run(n / 10 + BURST); // warms up
			printf("%.1f\n", works[i].run(n) / n);
			return 0;
		}
	fprintf(stderr, "usage: work NAME COUNT\n");
	return 2;
}
