// Ends as its arguments say. Each is a step, with numbers after a colon (8K, 500M):
//
//	as:N data:N stack:N memlock:N   set its own limit
//	malloc:N mmap:N none:N sbrk:N mremap:N mprotect:N mlock:N newthread   try to get it
//	deep:N        the same as mmap, from a function further down the stack
//	maps:N        N mappings that do not merge
//	write:N       to the address of the last result, plus N
//	perror say    on standard error, on standard output
//	exit:N quit:N abort raise:N kill:N       quit: _exit; kill: by kill(2)
//	null wild const fpe ill trap bus         faults
//	catch         exit(9) on SIGSEGV, on a stack of its own
//	recurse       for ever; wall: what it runs into is a mapping
//	murder:N      another process sends the signal; pause: somebody is awaited, who finds the id in file "pid"
//	child fork vfork daemon thread           run the steps up to "end" there, and wait for it (not: daemon)
//	exec FILE...
//
// Shows: nothing by itself. It makes ends whose cause is known (cause_test.go).
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char *last; // the result of the last step that tried to get something

static size_t size(const char *s)
{
	char *end;
	size_t n = strtoull(s, &end, 0);
	return n << (*end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0);
}

static void limit(int what, size_t n)
{
	struct rlimit l;
	getrlimit(what, &l);
	l.rlim_cur = n;
	if (setrlimit(what, &l))
		perror("setrlimit"), _exit(98);
}

static void *anon(size_t n, int prot, int more)
{
	return mmap(NULL, n, prot, MAP_PRIVATE | MAP_ANONYMOUS | more, -1, 0);
}

static __attribute__((noinline)) void *deeper(size_t n)
{
	volatile char room[3000];
	room[0] = 1;
	void *p = anon(n, PROT_READ | PROT_WRITE, 0);
	return room[0] ? p : NULL; // not a tail call
}

static volatile int forever = 1;

static __attribute__((noinline)) int recurse(volatile char *above)
{
	volatile char room[2000];
	memset((void *)room, 1, sizeof room);
	return forever ? recurse(room) + room[above[3] & 7] : 0;
}

static void on_segv(int sig)
{
	_exit(9 + 0 * sig);
}

static void *sleeper(void *p)
{
	pause();
	return p;
}

static void *step(void *at);

static int is(const char *s, const char *name)
{
	size_t n = strlen(name);
	return !strncmp(s, name, n) && (s[n] == 0 || s[n] == ':');
}

static char **skip(char **at)
{
	int depth = 1;
	for (; *at && depth; at++) {
		if (is(*at, "child") || is(*at, "fork") || is(*at, "vfork") || is(*at, "daemon") || is(*at, "thread"))
			depth++;
		if (is(*at, "end"))
			depth--;
	}
	return at;
}

// step runs the steps at at, to the end of the arguments or "end".
static void *step(void *arg)
{
	char **at = arg;
	for (; *at && !is(*at, "end"); at++) {
		char *s = *at, *colon = strchr(s, ':');
		size_t n = colon ? size(colon + 1) : 0;
		if (is(s, "as")) limit(RLIMIT_AS, n);
		else if (is(s, "data")) limit(RLIMIT_DATA, n);
		else if (is(s, "stack")) limit(RLIMIT_STACK, n);
		else if (is(s, "memlock")) limit(RLIMIT_MEMLOCK, n);
		else if (is(s, "malloc")) { if ((last = malloc(n))) *last = 1; }
		else if (is(s, "mmap")) last = anon(n, PROT_READ | PROT_WRITE, 0);
		else if (is(s, "none")) last = anon(n, PROT_NONE, MAP_NORESERVE);
		else if (is(s, "deep")) last = deeper(n);
		else if (is(s, "sbrk")) last = sbrk(n);
		else if (is(s, "mremap")) last = mremap(anon(4096, 3, 0), 4096, n, MREMAP_MAYMOVE);
		else if (is(s, "mprotect")) last = mprotect(anon(n, PROT_NONE, 0), n, 3) ? MAP_FAILED : NULL;
		else if (is(s, "mlock")) last = mlock(anon(n, 3, 0), n) ? MAP_FAILED : NULL;
		else if (is(s, "newthread")) {
			pthread_t t;
			last = pthread_create(&t, NULL, sleeper, NULL) ? MAP_FAILED : NULL;
		} else if (is(s, "maps")) {
			for (size_t i = 0; i < n && (last = anon(4096, i % 2 ? PROT_READ : PROT_NONE, 0)) != MAP_FAILED; i++)
				;
		} else if (is(s, "write")) last[n] = 1;
		else if (is(s, "perror")) perror("ends");
		else if (is(s, "say")) printf("well\n"), fflush(stdout);
		else if (is(s, "exit")) exit(n);
		else if (is(s, "quit")) _exit(n);
		else if (is(s, "abort")) abort();
		else if (is(s, "raise")) raise(n);
		else if (is(s, "kill")) kill(getpid(), n);
		else if (is(s, "null")) *(volatile char *)0 = 1;
		else if (is(s, "wild")) *(volatile char *)0x123456789000 = 1;
		else if (is(s, "const")) *(volatile char *)"constant" = 1;
		else if (is(s, "fpe")) { volatile int zero = 0, one = 1; zero = one / zero; }
		else if (is(s, "ill")) __builtin_trap();
		else if (is(s, "trap")) __asm__ volatile("int3");
		else if (is(s, "bus")) {
			int fd = memfd_create("empty", 0);
			*(volatile char *)mmap(NULL, 4096, 3, MAP_SHARED, fd, 0) = 1;
		} else if (is(s, "catch")) {
			stack_t own = {.ss_sp = malloc(65536), .ss_size = 65536};
			struct sigaction a = {.sa_handler = on_segv, .sa_flags = SA_ONSTACK};
			sigaltstack(&own, NULL);
			sigaction(SIGSEGV, &a, NULL);
		} else if (is(s, "recurse")) recurse((char *)&s);
		else if (is(s, "wall")) mmap((void *)(((size_t)&s - (3 << 20)) & -4096), 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		else if (is(s, "pause")) {
			FILE *f = fopen("pid.new", "w");
			fprintf(f, "%d\n", getpid());
			fclose(f);
			rename("pid.new", "pid");
			for (;;)
				pause();
		} else if (is(s, "murder")) {
			if (fork() == 0) {
				kill(getppid(), n);
				_exit(0);
			}
			for (int i = 0; i < 1000; i++)
				usleep(10000);
		} else if (is(s, "child") || is(s, "fork") || is(s, "vfork") || is(s, "daemon")) {
			int status;
			pid_t pid = is(s, "vfork") ? vfork() : fork();
			if (pid == 0) {
				if (is(s, "daemon")) {
					setsid();
					usleep(20000);
				}
				step(at + 1);
				_exit(0);
			}
			if (!is(s, "daemon"))
				waitpid(pid, &status, 0);
			at = skip(at + 1) - 1;
		} else if (is(s, "thread")) {
			pthread_t t;
			pthread_create(&t, NULL, step, at + 1);
			pthread_join(t, NULL);
			at = skip(at + 1) - 1;
		} else if (is(s, "exec")) {
			execvp(at[1], at + 1);
			_exit(97);
		} else {
			fprintf(stderr, "unknown step %s\n", s);
			_exit(99);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	step(argv + 1);
	return 0;
}
