// Advice by process_madvise, which since Linux 6.13 a process may give itself about anything: over
// several ranges, over a hole, sealed by errors of every kind; and a fork that shows what was advised.
//
// Shows: the ranges are followed, although they are in memory.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void maps(const char *when, char *from, char *to)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	int in = 0;
	printf("%s\n", when);
	while (fgets(line, sizeof line, f)) {
		unsigned long a, b;
		if (sscanf(line, "%lx-%lx", &a, &b) == 2 && strchr(line, '-') < line + 13) {
			in = (char *)a >= from && (char *)b <= to;
			if (in)
				printf("  %lu-%lu", (a - (unsigned long)from) >> 12, (b - (unsigned long)from) >> 12);
		} else if (in && !strncmp(line, "VmFlags:", 8)) {
			printf("%s", line + 8);
		}
	}
	fclose(f);
}

int main(void)
{
	char *p = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *q = mmap(NULL, 18 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096; // a frame around p
	p = mremap(p, 16 * 4096, 16 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, q);
	memset(p, 1, 16 * 4096);
	munmap(p + 12 * 4096, 4096);
	int self = syscall(SYS_pidfd_open, getpid(), 0);
	struct iovec v[3] = {{p, 4096}, {p + 4 * 4096, 2 * 4096}, {p + 8 * 4096, 4096}};
	struct iovec hole[3] = {{p, 4096}, {p + 11 * 4096, 3 * 4096}, {p + 15 * 4096, 4096}};
	static const struct { const char *name; int advice; } all[] = {
		{"random", MADV_RANDOM}, {"dontfork", MADV_DONTFORK}, {"wipe", MADV_WIPEONFORK}, {"dontdump", MADV_DONTDUMP},
	};
	for (int i = 0; i < 4; i++) {
		long n = syscall(SYS_process_madvise, self, v, 3, all[i].advice, 0);
		printf("%s: %ld %s\n", all[i].name, n, n < 0 ? strerror(errno) : "");
	}
	long n = syscall(SYS_process_madvise, self, hole, 3, MADV_SEQUENTIAL, 0);
	printf("a hole: %ld %s\n", n, n < 0 ? strerror(errno) : "");
	n = syscall(SYS_process_madvise, self, hole + 1, 1, MADV_DONTFORK, 0);
	printf("a hole at first: %ld %s\n", n, n < 0 ? strerror(errno) : "");
	n = syscall(SYS_process_madvise, self, v, 3, MADV_DOFORK, 1);
	printf("flags: %ld %s\n", n, n < 0 ? strerror(errno) : "");
	n = syscall(SYS_process_madvise, self, NULL, 3, MADV_DOFORK, 0);
	printf("no vector: %ld %s\n", n, n < 0 ? strerror(errno) : "");
	n = syscall(SYS_process_madvise, self, v, 2000, MADV_DOFORK, 0);
	printf("too many: %ld %s\n", n, n < 0 ? strerror(errno) : "");
	n = syscall(SYS_process_madvise, -1, v, 3, MADV_DOFORK, 0);
	printf("no process: %ld %s\n", n, n < 0 ? strerror(errno) : "");
	maps("the parent", p, p + 16 * 4096);
	fflush(stdout);
	int hold[2]; // the child lives until it has been advised
	pipe(hold);
	pid_t child = fork();
	if (child == 0) {
		close(hold[1]);
		maps("the child", p, p + 16 * 4096);
		fflush(stdout);
		// Neighbours that became alike merge again, in the same way on both sides.
		mprotect(p + 4096, 7 * 4096, PROT_READ);
		read(hold[0], &(char){0}, 1);
		_exit(0);
	}
	int other = syscall(SYS_pidfd_open, child, 0);
	n = syscall(SYS_process_madvise, other, v, 3, MADV_DONTFORK, 0);
	printf("another process: %ld %s\n", n, n < 0 ? strerror(errno) : "");
	close(hold[1]);
	waitpid(child, NULL, 0);
	return 0;
}
