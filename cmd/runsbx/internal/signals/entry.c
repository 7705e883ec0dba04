#define _GNU_SOURCE
#include "entry.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define NSIGNALS 65

static unsigned char ignored[NSIGNALS];
static unsigned char closed[3];
static volatile int out = -1;

// What Go's runtime needs to start, with room to spare. Below it, it aborts with a trace and status 2.
#define NEEDED_AS (1536UL << 20)
#define NEEDED_DATA (192UL << 20)

// require ends the process with one line when a limit that it inherited is too low for itself.
static void require(int resource, rlim_t needed, const char *line)
{
	struct rlimit l;
	if (getrlimit(resource, &l) == 0 && l.rlim_cur < needed) {
		ssize_t n = write(2, line, strlen(line));
		(void)n;
		_exit(125);
	}
}

// look runs before Go's runtime starts, which installs handlers and opens closed standard streams.
__attribute__((constructor)) static void look(void)
{
	require(RLIMIT_AS, NEEDED_AS, "runsbx: the limit on address space (ulimit -v) is below the 1.5G that runsbx itself needs\n");
	require(RLIMIT_DATA, NEEDED_DATA, "runsbx: the limit on data (ulimit -d) is below the 192M that runsbx itself needs\n");
	for (int sig = 1; sig < NSIGNALS; sig++) {
		struct sigaction sa;
		if (sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
			ignored[sig] = 1;
	}
	for (int fd = 0; fd < 3; fd++)
		closed[fd] = fcntl(fd, F_GETFD) < 0;
}

int runsbx_ignored(int sig) { return sig > 0 && sig < NSIGNALS && ignored[sig]; }

int runsbx_closed(int fd) { return fd >= 0 && fd < 3 && closed[fd]; }

void runsbx_pipe(int fd) { out = fd; }

// note writes a record to the pipe, which does not block: when nobody reads for thousands of
// signals, further ones are lost, as signals may be.
static void note(int sig, siginfo_t *si, void *context)
{
	(void)context;
	int saved = errno;
	struct runsbx_record r;
	memset(&r, 0, sizeof r);
	r.sig = sig;
	r.code = si->si_code;
	switch (si->si_code) { // of the other codes, other members take these places
	case SI_USER:
	case SI_TKILL:
	case SI_QUEUE:
		r.pid = si->si_pid;
		r.value = (uint64_t)(uintptr_t)si->si_value.sival_ptr;
		break;
	}
	ssize_t n = write(out, &r, sizeof r);
	(void)n;
	errno = saved;
}

int runsbx_catch(int sig)
{
	struct sigaction sa;
	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = note;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	sigfillset(&sa.sa_mask);
	return sigaction(sig, &sa, NULL) == 0 ? 0 : errno;
}

int runsbx_default(int sig)
{
	struct sigaction sa;
	memset(&sa, 0, sizeof sa);
	sa.sa_handler = SIG_DFL;
	return sigaction(sig, &sa, NULL) == 0 ? 0 : errno;
}

void runsbx_unblock(int sig)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
