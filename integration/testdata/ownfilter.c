// Installs seccomp filters of its own for calls that are supervised and for others.
//
// Shows: its filters work as they do without a supervisor: it has no tracer, so SECCOMP_RET_TRACE
// skips the call.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void install(int nr, unsigned action)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = {4, f};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p))
		perror("seccomp");
}

static void say(const char *what, int failed) { printf("%s: %s\n", what, failed ? strerror(errno) : "ok"); }

int main(void)
{
	char *p = mmap(NULL, 4 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	install(SYS_sethostname, SECCOMP_RET_TRACE);
	say("sethostname", syscall(SYS_sethostname, "", -1) == -1);
	install(SYS_mremap, SECCOMP_RET_TRACE | 1);
	say("mremap", mremap(p, 4 * 4096, 4096, 0) == MAP_FAILED);
	install(SYS_shmat, SECCOMP_RET_ERRNO | EBUSY);
	say("shmat", syscall(SYS_shmat, -1, 0, 0) == -1);
	install(SYS_munmap, SECCOMP_RET_ERRNO | EXDEV);
	say("munmap", munmap(p, 4096));
	fflush(stdout);
	if (fork() == 0) {
		install(SYS_mmap, SECCOMP_RET_KILL_PROCESS);
		mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		_exit(0);
	}
	int status;
	wait(&status);
	printf("mmap: signal %d\n", WTERMSIG(status));
	return 0;
}
