// An exec that fails, or that a vfork's child makes, reads its arguments far below the stack pointer: the
// kernel makes the stack grow to there.
//
// Usage: argstack self|child MB. Shows: that this is charged.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const size_t piece = 1 << 20;

/* How many pieces can be had. */
static int room(void)
{
	void *had[1024];
	int n = 0;
	while (n < 1024) {
		void *p = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			break;
		had[n++] = p;
	}
	for (int i = 0; i < n; i++)
		munmap(had[i], piece);
	return n;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	struct rlimit own;
	getrlimit(RLIMIT_STACK, &own);
	own.rlim_cur = own.rlim_max;
	setrlimit(RLIMIT_STACK, &own);
	int before = room(), mb = atoi(argv[2]);
	char **below = (char **)(((size_t)&own - mb * piece) & -sizeof(char *));
	if (strcmp(argv[1], "self") == 0) {
		int fd = open("no-program", O_CREAT | O_WRONLY | O_TRUNC, 0755);
		if (fd < 0 || write(fd, "no program\n", 11) != 11 || close(fd) != 0)
			return 1;
		execve("no-program", below, below);
	} else if (vfork() == 0) {
		execve("/bin/true", below, below);
		_exit(1);
	}
	wait(NULL);
	int after = room();
	if (before - after < mb - 1 || before - after > mb + 1)
		printf("%d before, %d after\n", before, after);
	else
		printf("%dM charged\n", mb);
	return 0;
}
