// alloca close to the stack's limit, from both sides, with the limit changed while running; and
// threads whose stacks are small or large.
//
// Shows: RLIMIT_STACK decides at the fault, and getrlimit and setrlimit tell the program the same
// as natively.
#define _GNU_SOURCE
#include <alloca.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static __attribute__((noinline)) int take(size_t size)
{
	char *p = alloca(size);
	for (size_t i = size; i >= 4096; i -= 4096)
		((volatile char *)p)[i - 1] = 1;
	return p[size - 1];
}

static void attempt(const char *what, rlim_t limit, size_t size)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit r;
		getrlimit(RLIMIT_STACK, &r);
		r.rlim_cur = limit;
		if (setrlimit(RLIMIT_STACK, &r))
			_exit(50);
		void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		int n = take(size);
		_exit(munmap(p, 4096) ? 51 : n);
	}
	int status;
	waitpid(pid, &status, 0);
	printf("%s: %s %d\n", what, WIFSIGNALED(status) ? "signal" : "exit",
	       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void *thread(void *arg) { return (void *)(long)take((size_t)arg); }

int main(void)
{
	attempt("half of 8M", 8 << 20, 4 << 20);
	attempt("nearly 8M", 8 << 20, (8 << 20) - (1 << 18));
	attempt("more than 8M", 8 << 20, (8 << 20) + (1 << 17));
	attempt("more than 1M", 1 << 20, (1 << 20) + (1 << 17));
	attempt("nearly 1M", 1 << 20, (1 << 20) - (1 << 18));
	attempt("lowered below what is used", 4096, 1 << 16);
	attempt("raised", 32 << 20, 16 << 20);
	for (size_t size = 1 << 17; size <= 1 << 26; size *= 8) {
		pthread_attr_t a;
		pthread_attr_init(&a);
		pthread_attr_setstacksize(&a, size);
		pthread_t t;
		void *r;
		printf("thread of %zu: %d", size, pthread_create(&t, &a, thread, (void *)(size - size / 8 - 16384)));
		pthread_join(t, &r);
		printf(" %ld\n", (long)r);
	}
	return 0;
}
