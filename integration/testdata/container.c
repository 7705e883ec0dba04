// A launcher that puts a program where an unprivileged container puts it: an ordinary user, no
// capabilities, no new privileges, and a seccomp filter that denies what Docker's default profile
// denies to it: pidfd_getfd, kcmp, clone3, user namespaces, most personalities, and others.
//
// usage: container PROGRAM [ARG...]
//
// Shows: what runsbx does without those calls.
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RET(what) BPF_STMT(BPF_RET | BPF_K, what)
#define EQ(v, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v, yes, no)
#define DENY(nr, e) EQ(nr, 0, 1), RET(SECCOMP_RET_ERRNO | (e))

int main(int argc, char **argv)
{
	static struct sock_filter code[] = {
		LOAD(arch),
		EQ(AUDIT_ARCH_X86_64, 1, 0),
		RET(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		DENY(SYS_clone3, ENOSYS),
		DENY(438 /* pidfd_getfd */, EPERM),
		DENY(SYS_kcmp, EPERM),
		DENY(SYS_unshare, EPERM),
		DENY(SYS_setns, EPERM),
		DENY(SYS_mount, EPERM),
		DENY(SYS_umount2, EPERM),
		DENY(SYS_pivot_root, EPERM),
		DENY(SYS_bpf, EPERM),
		DENY(SYS_perf_event_open, EPERM),
		DENY(SYS_userfaultfd, EPERM),
		DENY(SYS_add_key, EPERM),
		DENY(SYS_keyctl, EPERM),
		DENY(SYS_request_key, EPERM),
		DENY(SYS_move_pages, EPERM),
		DENY(SYS_mbind, EPERM),
		DENY(SYS_set_mempolicy, EPERM),
		DENY(425 /* io_uring_setup */, EPERM),
		DENY(426 /* io_uring_enter */, EPERM),
		DENY(427 /* io_uring_register */, EPERM),
		DENY(SYS_open_by_handle_at, EPERM),
		DENY(440 /* process_madvise */, EPERM),
		// clone with a flag for a namespace
		EQ(SYS_clone, 0, 4),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x7e020000, 0, 1),
		RET(SECCOMP_RET_ERRNO | EPERM),
		RET(SECCOMP_RET_ALLOW),
		// personality: 0, 8, 0x20000, 0x20008 and ~0 only
		EQ(SYS_personality, 0, 7),
		LOAD(args[0]),
		EQ(0, 5, 0),
		EQ(8, 4, 0),
		EQ(0x20000, 3, 0),
		EQ(0x20008, 2, 0),
		EQ(0xffffffff, 1, 0),
		RET(SECCOMP_RET_ERRNO | EPERM),
		RET(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof code / sizeof code[0], code};
	if (argc < 2)
		return fprintf(stderr, "usage: container PROGRAM [ARG...]\n"), 1;
	if (geteuid() == 0) {
		for (int c = 0; c < 64; c++)
			prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			return perror("container: setresuid"), 1;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		return perror("container: seccomp"), 1;
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	execvp(argv[1], argv + 1);
	perror("container: exec");
	return 127;
}
