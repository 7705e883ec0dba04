// A process waits in calls that give up with EINTR for any signal (signal(7)), and gets signals that
// it ignores; then what it waits for, or a signal with a handler, or it is stopped and goes on.
//
// Shows: signals that are ignored end no call, and what natively ends one still does.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KINDS = 4, ENDS = 3 };
static const char *kinds[KINDS] = {"epoll_wait", "semop", "sigwaitinfo", "recv"};
static const char *ends[ENDS] = {"event", "handler", "stop"};
static int ep, sem, pair[2];

static void handler(int sig)
{
	(void)sig;
}

static int waiter(int kind)
{
	struct epoll_event event;
	struct sembuf down = {0, -1, 0};
	sigset_t usr2;
	char byte;
	signal(SIGUSR1, SIG_IGN);
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = handler}, NULL);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	sigprocmask(SIG_BLOCK, &usr2, NULL);
	errno = 0;
	switch (kind) {
	case 0: return epoll_wait(ep, &event, 1, -1);
	case 1: return semop(sem, &down, 1);
	case 2: return sigwaitinfo(&usr2, NULL);
	default: return recv(pair[0], &byte, 1, 0);
	}
}

static char state(pid_t pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	if (f) {
		text[fread(text, 1, sizeof text - 1, f)] = 0;
		fclose(f);
	}
	char *end = strrchr(text, ')');
	return end ? end[2] : '?';
}

// settle waits until the process has been seen in a state for a while.
static void settle(pid_t pid, char want)
{
	for (int seen = 0; seen < 10; seen++) {
		char is = state(pid);
		if (is != want && !(want == 'T' && is == 't'))
			seen = 0;
		usleep(1000);
	}
}

int main(void)
{
	static const int ignored[] = {SIGUSR1, SIGWINCH, SIGCHLD, SIGURG, SIGCONT};
	struct timeval minute = {60, 0};
	struct epoll_event event = {.events = EPOLLIN};
	setvbuf(stdout, NULL, _IONBF, 0);
	ep = epoll_create1(0);
	sem = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof minute);
	epoll_ctl(ep, EPOLL_CTL_ADD, pair[0], &event);
	for (int kind = 0; kind < KINDS; kind++) {
		for (int end = 0; end < ENDS; end++) {
			pid_t pid = fork();
			if (pid == 0) {
				int ret = waiter(kind);
				printf("%s, %s: %d %s\n", kinds[kind], ends[end], ret, ret < 0 ? strerror(errno) : "");
				_exit(0);
			}
			for (int i = 0; i < 5; i++) {
				settle(pid, 'S');
				kill(pid, ignored[i]);
			}
			settle(pid, 'S');
			char byte = 0;
			struct sembuf up = {0, 1, 0};
			if (end == 1) {
				kill(pid, SIGALRM);
			} else if (end == 2) {
				kill(pid, SIGSTOP);
				settle(pid, 'T');
				kill(pid, SIGWINCH);
				kill(pid, SIGCONT);
			}
			if (end == 0 || end == 2) {
				switch (kind) {
				case 1: semop(sem, &up, 1); break;
				case 2: kill(pid, SIGUSR2); break;
				default: write(pair[1], &byte, 1);
				}
			}
			waitpid(pid, NULL, 0);
			// what came too late
			recv(pair[0], &byte, 1, MSG_DONTWAIT);
			semctl(sem, 0, SETVAL, 0);
		}
	}
	semctl(sem, 0, IPC_RMID);
	return 0;
}
