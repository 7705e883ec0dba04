// Prints what a program got from its parent: arguments, descriptors, signals, limits, umask.
//
// Shows: that a program starts in the sandbox with the same as natively.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv, char **envp)
{
	printf("argc %d\n", argc);
	for (int i = 0; i < argc && i < 5; i++)
		printf("argv[%d] %.60s (%zu)\n", i, argv[i], strlen(argv[i]));
	for (int i = 0; envp[i]; i++)
		if (strncmp(envp[i], "RUNSBX_IT_TAG=", 14))
			printf("env %s\n", envp[i]);
	for (int fd = 0; fd < 64; fd++) {
		int flags = fcntl(fd, F_GETFD), fl = fcntl(fd, F_GETFL);
		struct stat st;
		if (flags >= 0 && fstat(fd, &st) == 0)
			printf("fd %d: cloexec %d, flags %#o, type %#o\n", fd, flags, fl, st.st_mode & S_IFMT);
	}
	sigset_t mask;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int s = 1; s <= 64; s++) {
		struct sigaction a;
		if (sigaction(s, NULL, &a) == 0 && a.sa_handler != SIG_DFL)
			printf("signal %d is ignored\n", s);
		if (sigismember(&mask, s) == 1)
			printf("signal %d is blocked\n", s);
	}
	for (int r = 0; r < 16; r++) {
		struct rlimit l;
		getrlimit(r, &l);
		printf("limit %d: %lld %lld\n", r, (long long)l.rlim_cur, (long long)l.rlim_max);
	}
	mode_t m = umask(0);
	printf("umask %#o, nice %d, pdeathsig ", m, getpriority(PRIO_PROCESS, 0));
	int sig = -1, pgid = getpgrp();
	prctl(PR_GET_PDEATHSIG, &sig);
	printf("%d, dumpable %d, keepcaps %d\n", sig, prctl(PR_GET_DUMPABLE), prctl(PR_GET_KEEPCAPS));
	printf("uid %d %d, gid %d %d, secure %ld, pgid %d\n", getuid(), geteuid(), getgid(), getegid(), getauxval(AT_SECURE), pgid > 0);
	char cwd[4096];
	printf("cwd %s\n", getcwd(cwd, sizeof cwd) ? "known" : strerror(errno));
	printf("execfn %s\n", (char *)getauxval(AT_EXECFN));
	return 0;
}
