/* clone3: what it makes, what it refuses, and that registers survive it, also while signals interrupt it. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

struct args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	uint64_t set_tid, set_tid_size, cgroup, newer;
};

static long made(struct args *a, size_t size)
{
	long r = syscall(SYS_clone3, a, size);
	if (r == 0)
		_exit(7);
	return r < 0 ? -errno : r;
}

/* The argument registers that a call does not use are to be as before, in parent and child. */
static long keeps(struct args *a, int *kept)
{
	register long rdi asm("rdi") = (long)a, rsi asm("rsi") = 64, rdx asm("rdx") = 3;
	register long r10 asm("r10") = 4, r8 asm("r8") = 5, r9 asm("r9") = 6;
	long r = SYS_clone3;
	asm volatile("syscall" : "+a"(r), "+r"(rdi), "+r"(rsi), "+r"(rdx), "+r"(r10), "+r"(r8), "+r"(r9) : : "rcx", "r11", "memory");
	*kept = rdi == (long)a && rsi == 64 && rdx == 3 && r10 == 4 && r8 == 5 && r9 == 6;
	return r;
}

static volatile sig_atomic_t ticks;
static void tick(int sig) { ticks++; }

static int status(pid_t pid)
{
	int st = -1;
	while (waitpid(pid, &st, __WALL) < 0 && errno == EINTR)
		;
	return st;
}

static int wrong(const char *what, struct args a, size_t size, long want)
{
	long r = made(&a, size);
	if (r != want)
		printf("%s: %ld, want %ld\n", what, r, want);
	return r != want;
}

int main(void)
{
	int bad = 0;
#define BAD(x) ((x) ? (printf("line %d\n", __LINE__), 1) : 0)
	struct args fork_ = {.exit_signal = SIGCHLD};

	bad += wrong("too small", fork_, 56, -EINVAL);
	bad += wrong("too large", fork_, 5000, -E2BIG);
	bad += wrong("unknown field", (struct args){.exit_signal = SIGCHLD, .newer = 1}, sizeof(struct args), -E2BIG);
	bad += wrong("signal", (struct args){.exit_signal = 65}, 64, -EINVAL);
	bad += wrong("signal in flags", (struct args){.flags = SIGCHLD}, 64, -EINVAL);
	bad += wrong("unknown flag", (struct args){.flags = 1ULL << 40, .exit_signal = SIGCHLD}, 64, -EINVAL);
	bad += wrong("stack without size", (struct args){.exit_signal = SIGCHLD, .stack = 4096}, 64, -EINVAL);
	bad += wrong("thread with a signal", (struct args){.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, .exit_signal = SIGCHLD}, 64, -EINVAL);
	bad += wrong("handlers without memory", (struct args){.flags = CLONE_SIGHAND}, 64, -EINVAL);
	bad += BAD(syscall(SYS_clone3, 4096UL, 64) != -1 || errno != EFAULT);

	long pid = made(&fork_, sizeof fork_);
	int st = status(pid);
	bad += BAD(pid <= 0 || st != 7 << 8);

	int pidfd = -1;
	pid = made(&(struct args){.flags = CLONE_PIDFD | CLONE_VFORK, .exit_signal = SIGCHLD, .pidfd = (uintptr_t)&pidfd}, 64);
	siginfo_t si = {0};
	bad += BAD(pidfd < 0 || waitid(3 /* P_PIDFD */, pidfd, &si, WEXITED) || si.si_pid != pid || si.si_status != 7);

	/* CLONE_UNTRACED cannot be told from a plain clone. */
	pid = syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		munmap(mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
		_exit(9);
	}
	bad += BAD(pid <= 0 || status(pid) != 9 << 8);

	struct sigaction sa = {.sa_handler = tick};
	sigaction(SIGALRM, &sa, 0);
	struct itimerval often = {{0, 150}, {0, 150}}, never = {{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &often, 0);
	for (int i = 0; i < 200; i++) {
		int kept;
		pid = keeps(&fork_, &kept);
		if (pid == 0)
			_exit(kept ? 5 : 6);
		if (pid < 0 || !kept || status(pid) != 5 << 8) {
			printf("round %d: %ld, registers kept %d\n", i, pid, kept);
			bad++;
		}
	}
	setitimer(ITIMER_REAL, &never, 0);
	printf("ticks %d, bad %d\n", ticks > 0, bad);
	return bad != 0;
}
