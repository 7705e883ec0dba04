// floor [-p] stop|stop2|notify PROGRAM [ARG...]: runs a program under the least supervisor there can be, which stops
// its memory calls and lets each go on. It is what any supervisor with this mechanism costs at least.
//
//	stop    one ptrace stop, at the entry of a call
//	stop2   two: at its entry and at its exit
//	notify  a seccomp user notification, with SYNC_WAKE_UP
//
// -p pins both to one cpu.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1
#endif

static const int calls[] = {SYS_mmap, SYS_munmap, SYS_mprotect, SYS_brk, SYS_mremap, SYS_mlock, SYS_munlock};
enum { CALLS = sizeof calls / sizeof *calls };

static void fail(const char *what)
{
	perror(what);
	exit(125);
}

// load loads a filter that gives the memory calls this answer, and returns the listener if there is one.
static int load(unsigned answer)
{
	struct sock_filter f[CALLS + 3];
	int n = 0;
	f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (int i = 0; i < CALLS; i++)
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], CALLS - i, 0);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer);
	struct sock_fprog prog = {n, f};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		fail("no_new_privs");
	int fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		answer == SECCOMP_RET_USER_NOTIF ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0, &prog);
	if (fd < 0)
		fail("seccomp");
	return fd;
}

static int status_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

static int traced(char **argv, int stops)
{
	pid_t pid = fork();
	if (pid == 0) {
		raise(SIGSTOP); // until we are there
		load(SECCOMP_RET_TRACE);
		execvp(argv[0], argv);
		fail(argv[0]);
	}
	int status;
	if (pid < 0 || waitpid(pid, &status, WUNTRACED) != pid)
		fail("fork");
	if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP |
			PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE) != 0)
		fail("PTRACE_SEIZE");
	kill(pid, SIGCONT);
	for (int result = 0;;) {
		pid_t tid = waitpid(-1, &status, __WALL);
		if (tid < 0)
			return result;
		if (!WIFSTOPPED(status)) {
			if (tid == pid)
				result = status_of(status);
			continue;
		}
		int sig = WSTOPSIG(status), event = status >> 16;
		if (event == PTRACE_EVENT_SECCOMP)
			ptrace(stops == 2 ? PTRACE_SYSCALL : PTRACE_CONT, tid, 0, 0);
		else
			ptrace(PTRACE_CONT, tid, 0, event != 0 || sig == (SIGTRAP | 0x80) || sig == SIGCONT ? 0 : sig);
	}
}

static int send_fd(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof fd)] = {0};
	struct iovec data = {&byte, 1};
	struct msghdr msg = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	return sendmsg(socket, &msg, 0);
}

static int receive_fd(int socket)
{
	int fd;
	char byte, control[CMSG_SPACE(sizeof fd)];
	struct iovec data = {&byte, 1};
	struct msghdr msg = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&msg) == NULL)
		fail("recvmsg");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof fd);
	return fd;
}

static int notified(char **argv)
{
	int pair[2], status;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		fail("socketpair");
	pid_t pid = fork();
	if (pid == 0) {
		int listener = load(SECCOMP_RET_USER_NOTIF);
		if (send_fd(pair[1], listener) != 1)
			fail("sendmsg");
		close(listener);
		execvp(argv[0], argv);
		fail(argv[0]);
	}
	if (pid < 0)
		fail("fork");
	int fd = receive_fd(pair[0]);
	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) != 0)
		fail("SYNC_WAKE_UP");
	for (;;) {
		struct seccomp_notif call = {0};
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
			if (errno == ENOENT) {
				// Either a call that was interrupted, or nobody is left who could make one.
				struct pollfd p = {fd, 0, 0};
				if (poll(&p, 1, 0) == 1 && p.revents & POLLHUP)
					break;
				continue;
			}
			if (errno == EINTR)
				continue;
			fail("SECCOMP_IOCTL_NOTIF_RECV");
		}
		struct seccomp_notif_resp answer = {.id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
		ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer); // ENOENT: it was killed
	}
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid");
	return status_of(status);
}

int main(int argc, char **argv)
{
	argv++;
	if (*argv && strcmp(*argv, "-p") == 0) {
		cpu_set_t one;
		CPU_ZERO(&one);
		CPU_SET(sched_getcpu(), &one);
		if (sched_setaffinity(0, sizeof one, &one) != 0)
			fail("sched_setaffinity");
		argv++;
	}
	if (argv[0] && argv[1]) {
		if (strcmp(argv[0], "stop") == 0)
			return traced(argv + 1, 1);
		if (strcmp(argv[0], "stop2") == 0)
			return traced(argv + 1, 2);
		if (strcmp(argv[0], "notify") == 0)
			return notified(argv + 1);
	}
	fprintf(stderr, "usage: floor [-p] stop|stop2|notify PROGRAM [ARG...]\n");
	return 125;
}
