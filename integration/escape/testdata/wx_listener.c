// A seccomp listener of the program's own answers a notification with CONTINUE, in the place of the supervisor's.
#include "escape.h"
int main(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {4, f};
	void *p = written();
	NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	int fd = TRY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog));
	pid_t pid = NEED(fork());
	if (pid == 0)
		syscall(SYS_mprotect, p, PAGE, RX), _exit(runs42(p) ? 42 : 0);
	struct seccomp_notif n = {0};
	TRY(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n));
	struct seccomp_notif_resp a = {.id = n.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
	TRY(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &a));
	ended42(pid);
}
