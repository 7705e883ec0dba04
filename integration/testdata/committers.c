// Many processes map, unmap, protect, move, fork, share, execute and are killed at random, until they
// have made a number of operations together.
//
// Shows: the ledger of --limit commit is the sum of what everybody has at every moment, and nothing
// is left of it at the end (TestCommitStress). It prints nothing that depends on chance.
//
//	committers SEED OPERATIONS PROCESSES
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, AREAS = 24, MOST = 64 };

// What all processes share: how much is done, and who they are.
static struct {
	long done, refused;
	int stop;
} *all;

static uint64_t state;

static unsigned rnd(unsigned n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

static struct {
	char *at;
	size_t size;
} areas[AREAS];

static void answered(int bad)
{
	if (bad && (errno == ENOMEM || errno == EAGAIN || errno == ENOSPC))
		__sync_fetch_and_add(&all->refused, 1);
}

static size_t some(void) { return (1 + rnd(rnd(8) ? 32 : 2048)) * PAGE; }

static void touch(char *p, size_t size, int writable)
{
	if (writable && rnd(4) == 0)
		for (size_t i = 0; i < size; i += 16 * PAGE)
			p[i] = 1;
}

static void map(int i)
{
	static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE};
	int prot = prots[rnd(4)], flags = MAP_ANONYMOUS | (rnd(4) ? MAP_PRIVATE : MAP_SHARED);
	if (rnd(8) == 0)
		flags |= MAP_NORESERVE;
	size_t size = some();
	char *hint = NULL;
	if (areas[i].size && rnd(2)) { // over what is there
		hint = areas[i].at;
		size = areas[i].size;
		flags |= MAP_FIXED;
	} else if (areas[i].size) {
		return;
	}
	char *p = mmap(hint, size, prot, flags, -1, 0);
	answered(p == MAP_FAILED);
	if (p == MAP_FAILED) {
		if (hint)
			areas[i].size = 0; // refused half-way, perhaps
		return;
	}
	areas[i].at = p;
	areas[i].size = size;
	touch(p, size, prot & PROT_WRITE);
}

static void unmap(int i)
{
	if (!areas[i].size)
		return;
	size_t keep = rnd(2) ? 0 : areas[i].size / 2 / PAGE * PAGE;
	if (munmap(areas[i].at + keep, areas[i].size - keep) == 0)
		areas[i].size = keep;
}

static void move(int i)
{
	if (!areas[i].size)
		return;
	size_t size = some();
	char *p = mremap(areas[i].at, areas[i].size, size, rnd(4) ? MREMAP_MAYMOVE : 0);
	answered(p == MAP_FAILED);
	if (p != MAP_FAILED) {
		areas[i].at = p;
		areas[i].size = size;
	}
}

static void protect(int i)
{
	if (!areas[i].size)
		return;
	size_t from = rnd(2) ? 0 : areas[i].size / 2 / PAGE * PAGE;
	int prot = rnd(3) ? PROT_READ | PROT_WRITE : PROT_READ;
	answered(mprotect(areas[i].at + from, areas[i].size - from, prot) != 0);
}

static void heap(void)
{
	static char *base;
	if (!base)
		base = sbrk(0);
	answered(brk(base + rnd(64) * PAGE) != 0);
}

static void segment(void)
{
	int id = shmget(IPC_PRIVATE, some(), IPC_CREAT | 0600);
	answered(id < 0);
	if (id < 0)
		return;
	char *p = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	answered(p == (char *)-1);
	if (p != (char *)-1 && rnd(2))
		shmdt(p); // or it goes with the process
}

// child is a fork that does a little, and ends in one way or another.
static void child(int depth)
{
	pid_t pid = rnd(4) ? fork() : vfork();
	answered(pid < 0);
	if (pid == 0) {
		switch (rnd(4)) {
		case 0:
			_exit(0);
		case 1:
			kill(getpid(), SIGKILL);
		case 2:
			execl("/proc/self/exe", "committers", "exit", NULL);
			_exit(0);
		}
		_exit(0);
	}
	if (pid > 0 && rnd(4) == 0)
		kill(pid, SIGKILL);
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
}

static int sharer(void *arg)
{
	char *p = mmap(NULL, (size_t)arg, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED && ((size_t)arg / PAGE) % 2)
		munmap(p, (size_t)arg);
	else if (p != MAP_FAILED)
		munmap(p, (size_t)arg / 2 / PAGE * PAGE);
	return 0; // it ends, and what it has mapped stays
}

// borrow makes a task that shares our memory, as a process or as a thread that nobody waits for.
static void borrow(void)
{
	char *stack = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	answered(stack == MAP_FAILED);
	if (stack == MAP_FAILED)
		return;
	pid_t pid = clone(sharer, stack + 16 * PAGE, CLONE_VM | SIGCHLD, (void *)(size_t)((1 + rnd(16)) * PAGE));
	answered(pid < 0);
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	munmap(stack, 16 * PAGE);
}

static void work(void)
{
	for (;;) {
		int i = rnd(AREAS);
		if (all->stop)
			_exit(0);
		__sync_fetch_and_add(&all->done, 1);
		switch (rnd(64)) {
		case 0: child(0); break;
		case 1: borrow(); break;
		case 2: segment(); break;
		case 3: if (rnd(32) == 0) _exit(0); break; // and its parent makes another
		case 4 ... 20: unmap(i); break;
		case 21 ... 28: protect(i); break;
		case 29 ... 36: move(i); break;
		case 37 ... 44: heap(); break;
		default: map(i); break;
		}
	}
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return 0; // executed by child
	if (argc != 4)
		return 2;
	uint64_t seed = strtoull(argv[1], NULL, 10);
	long operations = atol(argv[2]);
	int n = atoi(argv[3]), born = 0;
	pid_t pids[MOST] = {0};
	all = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (n > MOST || all == MAP_FAILED)
		return 2;
	while (all->done < operations) {
		for (int i = 0; i < n; i++) {
			if (pids[i] > 0 && waitpid(pids[i], NULL, WNOHANG) == 0)
				continue;
			pids[i] = fork();
			if (pids[i] == 0) {
				state = seed * 1000003 + ++born;
				work();
			}
			born++;
		}
		usleep(2000);
		state = seed + born;
		int victim = (int)rnd(n);
		if (pids[victim] > 0 && rnd(8) == 0)
			kill(pids[victim], SIGKILL);
	}
	all->stop = 1;
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	fprintf(stderr, "%ld operations, %ld refused, %d processes\n", all->done, all->refused, born);
	printf("refused: %s\n", all->refused ? "some" : "none");
	return 0;
}
