// A filter of the program's own answers munmap and mprotect with success without doing them: the supervisor's model goes wrong.
#include "escape.h"
int main(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {4, f};
	void *p = written();
	NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	NEED(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
	munmap(p, PAGE);
	protect(p, RX);
	run42(p);
}
