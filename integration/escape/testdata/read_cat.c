// Read by a program of the system.
#include "escape.h"
int main(void)
{
	int p[2];
	NEED(pipe(p));
	if (fork() == 0)
		dup2(p[1], 1), close(p[1]), execl("/bin/cat", "cat", env("SECRET"), NULL), _exit(1);
	close(p[1]);
	see(p[0]);
}
