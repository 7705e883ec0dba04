// What interrupts a connect that waits for room in the other's queue.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_un name = {AF_UNIX, "s"};
static int listener;

static void handler(int sig) { (void)sig; }

static void *waits(void *arg)
{
	(void)arg;
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	long failed = connect(s, (struct sockaddr *)&name, sizeof name) ? errno : 0;
	close(s);
	return (void *)failed;
}

static pthread_t waiting(int flags)
{
	struct sigaction a = {.sa_handler = handler, .sa_flags = flags};
	pthread_t t;
	sigaction(SIGUSR1, &a, NULL);
	pthread_create(&t, NULL, waits, NULL);
	usleep(100000);
	return t;
}

static const char *ended(pthread_t t)
{
	void *failed;
	pthread_join(t, &failed);
	return failed ? strerrorname_np((int)(long)failed) ?: "an unknown error" : "ok";
}

static void room(void)
{
	int s = accept(listener, NULL, NULL);
	close(s);
}

int main(void)
{
	int status, last = socket(AF_UNIX, SOCK_STREAM, 0);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(listener, (struct sockaddr *)&name, sizeof name);
	listen(listener, 0);
	connect(last, (struct sockaddr *)&name, sizeof name);

	pthread_t t = waiting(0);
	pthread_kill(t, SIGUSR1);
	printf("handler: %s\n", ended(t));

	t = waiting(SA_RESTART);
	pthread_kill(t, SIGUSR1);
	usleep(200000);
	room();
	printf("handler with SA_RESTART: %s\n", ended(t));

	// The signal is for the process, and the thread that is to take it cannot yet.
	t = waiting(SA_RESTART);
	if (vfork() == 0) {
		kill(getppid(), SIGUSR1);
		usleep(300000);
		_exit(0);
	}
	room();
	printf("another's signal: %s\n", ended(t));

	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		t = waiting(0);
		ended(t);
		_exit(0);
	}
	usleep(200000);
	kill(child, SIGSTOP);
	for (int i = 0; i < 200 && waitpid(child, &status, WUNTRACED | WNOHANG) == 0; i++)
		usleep(20000);
	printf("stop: %s\n", WIFSTOPPED(status) ? "ok" : "none");
	kill(child, SIGCONT);
	room();
	waitpid(child, &status, 0);
	printf("continued: %s\n", WIFEXITED(status) ? "ok" : "none");
	return 0;
}
