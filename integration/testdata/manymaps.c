// Thousands of mappings: of one file, and anonymous ones that do not merge; then msync and munmap
// of each, in another order; and as many as there may be (vm.max_map_count), until ENOMEM.
//
// Shows: the limit on the number of mappings, and (by its duration) that a call's cost does not
// grow with their number.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { N = 5000, MOST = 100000 };
static char *at[MOST];

int main(int argc, char **argv)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600), bad = 0, n;
	if (ftruncate(fd, 4096))
		return 1;
	for (int i = 0; i < N; i++) {
		at[i] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		at[i][0]++;
	}
	for (int i = 0; i < N; i++)
		bad += at[i][0] != (char)N;
	for (int i = 0; i < N; i++)
		bad += msync(at[i], 4096, MS_ASYNC) != 0;
	for (int i = 0; i < N; i++)
		bad += munmap(at[i * 7 % N], 4096) != 0; // 7 does not divide N
	printf("bad %d\n", bad);
	if (argc > 1) {
		for (n = 0; n < MOST; n++)
			if ((at[n] = mmap(NULL, 4096, n % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) == MAP_FAILED)
				break;
		printf("%s, as many as expected %d\n", strerror(errno), n > 60000 && n < 65536);
		printf("split %s\n", mprotect(at[0], 1, PROT_READ) ? strerror(errno) : "ok");
		for (int i = 0; i < n; i += 3)
			bad += munmap(at[i], 4096) != 0;
		printf("bad %d\n", bad);
	}
	return 0;
}
