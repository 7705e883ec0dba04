// Thousands of short processes and threads at once: the supervisor loses none of them, and none runs unconfined.
#include "escape.h"
static void *thread(void *arg) { return NULL; }
int main(void)
{
	for (int i = 0; i < rounds() / 10 && i < 1000; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			pthread_t t[4];
			for (int j = 0; j < 4; j++)
				pthread_create(&t[j], NULL, thread, NULL);
			int fd = open(env("SECRET"), O_RDONLY);
			_exit(fd >= 0 ? 42 : 0);
		}
		int status;
		if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42)
			escaped();
	}
	errno = EACCES, contained("every process");
}
