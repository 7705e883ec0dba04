// A bounded tree of processes and threads that are always in the middle of something: mapping,
// forking, execing, sleeping, ignoring signals, stopped. Everything ends by itself after a minute.
//
// Shows: killing the supervisor at a random moment leaves none of them alive.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void *mapper(void *arg)
{
	for (;;) {
		char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			continue;
		p[0] = 1;
		mprotect(p, 4096, PROT_READ);
		munmap(p, 65536);
	}
	return arg;
}

static void threads(int n)
{
	pthread_t t;
	for (int i = 0; i < n; i++)
		pthread_create(&t, NULL, mapper, NULL);
}

int main(int argc, char **argv)
{
	alarm(60);
	if (argc > 1) { // a program that was execed sleeps
		usleep(1000);
		return 0;
	}
	puts("up");
	fflush(stdout);
	for (int kind = 0; kind < 5; kind++) {
		if (fork() != 0)
			continue;
		alarm(60);
		if (fork() == 0) { // an orphan, in a session of its own
			setsid();
			alarm(60);
			for (;;)
				pause();
		}
		switch (kind) {
		case 0:
			threads(2);
			break;
		case 1:
			for (;;) { // one child at a time
				pid_t pid = vfork();
				if (pid == 0) {
					execl("/proc/self/exe", "busytree", "sleep", NULL);
					_exit(1);
				}
				waitpid(pid, NULL, 0);
			}
		case 2:
			for (;;) {
				pid_t pid = fork();
				if (pid == 0) {
					mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
					_exit(0);
				}
				waitpid(pid, NULL, 0);
			}
		case 3:
			raise(SIGSTOP);
			break;
		case 4:
			for (int s = 1; s < 32; s++)
				signal(s, SIG_IGN);
			signal(SIGALRM, SIG_DFL);
			threads(1);
			pthread_exit(NULL); // the leader is a zombie
		}
		for (;;)
			pause();
	}
	threads(1);
	for (;;)
		wait(NULL);
}
