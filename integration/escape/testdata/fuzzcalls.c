// Random system calls with random arguments, from several processes of several threads, until SECONDS have
// gone by. It ends by itself; nothing of what it has started need.
//
//   fuzzcalls SEED SECONDS
#include "escape.h"
#include <sys/time.h>
#include <time.h>

enum { PROCESSES = 3, THREADS = 3, BUFFERS = 8, FDS = 24 };

static char *buffer[BUFFERS];
static unsigned long seed;

static unsigned long next(unsigned long *s)
{
	*s ^= *s << 13, *s ^= *s >> 7, *s ^= *s << 17;
	return *s;
}

// Calls that would end the thread, or keep it waiting for good where no signal comes.
static int useless(long nr)
{
	return nr == SYS_exit || nr == SYS_exit_group || nr == SYS_rt_sigreturn || nr == SYS_vfork;
}

static unsigned long argument(unsigned long *s)
{
	static const unsigned long odd[] = {0, 1, 2, 3, -1, -2, PAGE, PAGE - 1, 1UL << 31, 1UL << 32, 1UL << 47, 1UL << 63, 0xffffffff};
	static char *const paths[] = {"/proc/self/mem", "/proc/self/maps", "/proc/self/fd/3", "f", "d", "/etc/passwd", "/dev/zero", "/dev/tty", ".", "/",
		"/proc/self/ns/mnt", "/proc/self/attr/current", "/sys/kernel/mm/ksm/run", ""};
	unsigned long n = next(s);
	char *b = buffer[n >> 8 & (BUFFERS - 1)];
	switch (n % 16) {
	case 0: case 1: case 2:
		return odd[(n >> 16) % (sizeof odd / sizeof *odd)];
	case 3: case 4: case 5:
		return n >> 16 & 31; // descriptors, flags, numbers
	case 6:
		return 1UL << (n >> 16 & 63);
	case 7:
		return (unsigned long)paths[(n >> 16) % (sizeof paths / sizeof *paths)];
	case 8:
		return n >> 20;
	case 9:
		return (unsigned long)b + (n >> 16) % PAGE;
	case 10: { // an array of structures with pointers in it
		for (int i = 0; i < 8; i++)
			((unsigned long *)b)[i] = i & 1 ? n >> 40 & 0xfff : (unsigned long)buffer[n >> (16 + i) & (BUFFERS - 1)];
		return (unsigned long)b;
	}
	case 11:
		return getpid();
	case 12:
		return n >> 16 & 0xffff;
	default:
		memcpy(b + (n >> 16) % (PAGE - 8), &n, 8);
		return (unsigned long)b;
	}
}

static void *calls(void *arg)
{
	unsigned long s = seed * 1000003 + (unsigned long)arg * 7919 + 1;
	for (;;) {
		long nr = next(&s) % 480;
		if (next(&s) % 64 == 0)
			nr = next(&s) % 16 ? nr | 0x40000000 : next(&s); // x32, and no calls at all
		if (!useless(nr))
			syscall(nr, argument(&s), argument(&s), argument(&s), argument(&s), argument(&s), argument(&s));
	}
	return NULL;
}

static void nothing(int sig) {}

static void work(int process)
{
	struct itimerval often = {{0, 20000}, {0, 20000}};
	struct sigaction a = {.sa_handler = nothing};
	sigaction(SIGALRM, &a, NULL);
	for (int i = 0; i < BUFFERS; i++)
		buffer[i] = mmap(NULL, 2 * PAGE, RW, i & 1 ? PRIV : SHARED, -1, 0);
	mkdir("d", 0700);
	for (int i = 0; i < FDS; i++)
		open(i % 3 ? "f" : "/proc/self/status", i % 3 ? O_RDWR | O_CREAT : O_RDONLY, 0600);
	setitimer(ITIMER_REAL, &often, NULL); // no call waits for long
	pthread_t t;
	for (long i = 1; i < THREADS; i++)
		pthread_create(&t, NULL, calls, (void *)(process * 16 + i));
	calls((void *)(process * 16L));
}

int main(int argc, char **argv)
{
	int seconds = atoi(argv[2]), started = 0;
	time_t end = time(NULL) + seconds;
	signal(SIGCHLD, SIG_DFL);
	seed = strtoul(argv[1], NULL, 0) * 2654435761u + 1;
	int n = 0;
	while (time(NULL) < end) {
		while (n < PROCESSES) {
			pid_t pid = fork();
			if (pid == 0)
				seed += started, work(started);
			if (pid < 0)
				break;
			n++, started++;
		}
		int dead = 0;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			dead++;
		n = dead < n ? n - dead : 0;
		usleep(10000);
	}
	dprintf(1, "%d processes\n", started);
	return 0;
}
