// SIGALRM every 100 microseconds and SIGURG from another thread, while calls on the address space
// are made in a loop; one handler makes such calls itself.
//
// Shows: each call is decided exactly once, however often its thread is interrupted: none gets
// lost, none is done twice, none returns EINTR.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

static atomic_long alarms, urgents;
static atomic_int stop;
static pthread_t target;

static void on_alarm(int sig)
{
	int e = errno;
	if (atomic_fetch_add(&alarms, 1) % 64 == 0) {
		char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED || munmap(p, 4096))
			_exit(98);
	}
	errno = e;
}

static void on_urgent(int sig) { atomic_fetch_add(&urgents, 1); }

static void *shooter(void *unused)
{
	while (!atomic_load(&stop)) {
		pthread_kill(target, SIGURG);
		usleep(100);
	}
	return unused;
}

static void must(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s: %s\n", what, strerror(errno));
		exit(1);
	}
}

int main(void)
{
	struct sigaction a = {.sa_handler = on_alarm}, u = {.sa_handler = on_urgent, .sa_flags = SA_RESTART};
	sigaction(SIGALRM, &a, NULL);
	sigaction(SIGURG, &u, NULL);
	target = pthread_self();
	pthread_t t;
	sigset_t block, old;
	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	sigaddset(&block, SIGURG);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	pthread_create(&t, NULL, shooter, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	struct itimerval every = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &every, NULL);

	// Until there were many signals, and at least 2000 rounds.
	int rounds = 0;
	char *heap = sbrk(0);
	while (rounds < 2000 || (atomic_load(&alarms) < 200 && rounds < 200000)) {
		size_t size = 4096 * (1 + rounds % 5);
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		must(p != MAP_FAILED, "mmap");
		must(p[0] == 0, "zero");
		p[0] = 1;
		must(mprotect(p, 4096, PROT_READ) == 0, "mprotect");
		if (rounds % 16 == 0) {
			must(mprotect(p, 4096, PROT_READ | PROT_WRITE) == 0, "mprotect back");
			char *q = mremap(p, size, size + 8192, MREMAP_MAYMOVE);
			must(q != MAP_FAILED, "mremap");
			must(q[0] == 1, "content");
			p = q;
			size += 8192;
			must(sbrk(4096) == heap, "sbrk");
			heap += 4096;
		}
		must(munmap(p, size) == 0, "munmap");
		must(munmap(p, size) == 0, "munmap of nothing");
		must(msync(p, 4096, MS_ASYNC) == -1 && errno == ENOMEM, "it is gone");
		rounds++;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	atomic_store(&stop, 1);
	pthread_join(t, NULL);
	printf("signals came: %d %d\n", atomic_load(&alarms) > 10, atomic_load(&urgents) > 10);
	return 0;
}
