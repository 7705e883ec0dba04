/* Makes the calls that a confined program must not: each line is a call and its errno, 0 where it
 * succeeded. PID is a process outside, in the first argument. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, long ret)
{
	printf("%s %s\n", what, ret < 0 ? strerrorname_np(errno) : "0");
}

#define CALL(nr, ...) say(#nr, syscall(SYS_##nr, ##__VA_ARGS__))

static int in_file(const char *fmt, int pid, int flags)
{
	char path[64];
	snprintf(path, sizeof path, fmt, pid);
	return open(path, flags);
}

int main(int argc, char **argv)
{
	int outside = argc > 1 ? atoi(argv[1]) : 1;
	char buf[64] = {0};
	struct iovec mine = {buf, sizeof buf}, other = {buf, sizeof buf};

	CALL(ptrace, 16 /* PTRACE_ATTACH */, outside, 0, 0);
	CALL(process_vm_readv, outside, &mine, 1, &other, 1, 0);
	CALL(process_vm_writev, getppid(), &mine, 1, &other, 1, 0);
	CALL(kill, outside, 0);
	CALL(tgkill, outside, outside, SIGTERM);
	CALL(kcmp, getpid(), outside, 0, 0, 0);
	CALL(pidfd_getfd, 0, 0, 0);
	CALL(bpf, 0, buf, sizeof buf);
	CALL(perf_event_open, buf, 0, -1, -1, 0);
	CALL(io_uring_setup, 1, buf);
	CALL(userfaultfd, 0);
	CALL(memfd_secret, 0);
	CALL(keyctl, 0, -3, 0);
	CALL(add_key, "user", "x", "y", 1, -3);
	CALL(mount, "none", "/mnt", "tmpfs", 0, 0);
	CALL(umount2, "/proc", 0);
	CALL(fsopen, "tmpfs", 0);
	CALL(open_tree, AT_FDCWD, "/", 1);
	CALL(pivot_root, ".", ".");
	CALL(unshare, CLONE_NEWUSER);
	CALL(unshare, CLONE_NEWNS);
	CALL(unshare, CLONE_FILES);
	CALL(setns, 0, 0);
	CALL(clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	struct { unsigned long long flags, a[7]; } args = {.flags = CLONE_NEWUSER};
	CALL(clone3, &args, sizeof args);
	CALL(open_by_handle_at, AT_FDCWD, buf, 0);
	CALL(fanotify_init, 0, 0);
	CALL(init_module, buf, 0, "");
	CALL(kexec_load, 0, 0, 0, 0);
	CALL(reboot, 0, 0, 0, 0);
	CALL(syslog, 3, buf, sizeof buf);
	CALL(swapon, "x", 0);
	CALL(acct, 0);
	CALL(quotactl, 0, 0, 0, 0);
	CALL(sethostname, "x", 1);
	CALL(iopl, 3);
	CALL(modify_ldt, 0, buf, sizeof buf);
	say("number 500", syscall(500));
	say("number 335000", syscall(335000));
	say("x32 getpid", syscall(0x40000000 + 39));
	say("TIOCSTI", ioctl(0, TIOCSTI, "x"));
	CALL(seccomp, 1, 8 /* NEW_LISTENER */, buf);
	say("AF_INET", socket(AF_INET, SOCK_STREAM, 0));
	say("AF_INET6", socket(AF_INET6, SOCK_DGRAM, 0));
	say("AF_INET raw", socket(AF_INET, SOCK_RAW, 1));
	say("AF_PACKET", socket(AF_PACKET, SOCK_RAW, 0));
	say("AF_NETLINK", socket(AF_NETLINK, SOCK_RAW, 0));
	say("AF_NETLINK audit", socket(AF_NETLINK, SOCK_RAW, 9));
	say("AF_VSOCK", socket(40, SOCK_STREAM, 0));
	say("AF_UNIX", socket(AF_UNIX, SOCK_STREAM, 0));
	int pair[2];
	say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	say("/proc/PID/mem", in_file("/proc/%d/mem", outside, O_RDWR));
	say("/proc/PPID/mem", in_file("/proc/%d/mem", getppid(), O_RDONLY));
	say("/proc/PID/environ", in_file("/proc/%d/environ", outside, O_RDONLY));
	say("/proc/PID/maps", in_file("/proc/%d/maps", outside, O_RDONLY));
	say("/proc/PID/fd/0", in_file("/proc/%d/fd/0", outside, O_RDONLY));
	say("/proc/PID/root/etc", in_file("/proc/%d/root/etc/passwd", outside, O_RDONLY));
	say("/proc/self/mem", open("/proc/self/mem", O_RDWR));
	say("/proc/self/maps", open("/proc/self/maps", O_RDONLY));
	say("/proc/self/comm", open("/proc/self/comm", O_WRONLY));
	say("/dev/kmsg", open("/dev/kmsg", O_RDONLY));
	say("/dev/null", open("/dev/null", O_RDWR));
	fflush(stdout);
	if (fork() == 0)
		_exit(7);
	int status;
	wait(&status);
	printf("a child %d\n", WEXITSTATUS(status));
	return 0;
}
