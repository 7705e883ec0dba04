// A few hundred mappings of many sizes and kinds, at addresses that the kernel chooses, with hints
// and fixed, with holes between them, also from threads; then the list of all of them.
//
// Shows (with --aslr off, and with a seed): every address is the same on every run, and with
// --aslr off the same as natively under setarch -R.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

static uint32_t seed = 12345;
static unsigned next(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static void *thread(void *arg)
{
	char *p = malloc(500000);
	p[0] = 1;
	return mmap(NULL, 20480, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static char *kept[600];
static size_t sizes[600];

int main(int argc, char **argv)
{
	char buffer[65536];
	int fd = open(argv[1], O_RDONLY), kinds = 0;
	for (int i = 0; i < 600; i++) {
		size_t size = (1 + next(40)) * 4096;
		int prot = next(8), flags = next(4) ? MAP_PRIVATE : MAP_SHARED;
		void *hint = NULL;
		switch (next(8)) {
		case 0:
			if (i > 0 && kept[i - 1])
				hint = kept[i - 1] + next(100) * 4096 - 4096 * 50;
			break;
		case 1:
			hint = (void *)(uintptr_t)next(100000);
			break;
		case 2:
			size = (1 + next(3)) << 21; // huge page alignment, where the kernel does that
			break;
		case 3:
			size = 600 << 20;
			prot = PROT_NONE;
			break;
		case 4:
			flags |= MAP_32BIT;
			break;
		case 5:
			flags |= MAP_STACK | MAP_NORESERVE;
			break;
		}
		void *p = next(5) || flags & MAP_SHARED
			? mmap(hint, size, prot, flags | MAP_ANONYMOUS, -1, 0)
			: mmap(hint, size, prot & ~PROT_WRITE, MAP_PRIVATE, fd, next(3) * 4096);
		if (p == MAP_FAILED)
			continue;
		kept[i] = p;
		sizes[i] = size;
		kinds++;
		if (next(3) == 0) {
			int k = next(i + 1);
			if (kept[k]) {
				size_t part = next(2) ? sizes[k] : (sizes[k] / 8192) * 4096;
				munmap(kept[k], part);
				if (part == sizes[k])
					kept[k] = NULL;
				else
					kept[k] += part, sizes[k] -= part;
			}
		}
		if (next(4) == 0) {
			int k = next(i + 1);
			if (kept[k] && sizes[k] < 1 << 20) {
				char *q = mremap(kept[k], sizes[k], sizes[k] + 4096 * next(30), MREMAP_MAYMOVE);
				if (q != MAP_FAILED)
					munmap(q, 4096), kept[k] = NULL;
			}
		}
		if (next(6) == 0 && kept[i])
			mprotect(kept[i], 4096, next(8));
	}
	pthread_t t[5];
	for (int i = 0; i < 5; i++) {
		void *r;
		pthread_create(&t[i], NULL, thread, NULL);
		pthread_join(t[i], &r);
		printf("thread %d mapped %p\n", i, r);
	}
	int id = shmget(IPC_PRIVATE, 100000, IPC_CREAT | 0600);
	printf("shm %p, heap %p, stack %p, code %p\n", shmat(id, NULL, 0), sbrk(0), (void *)&seed, (void *)main);
	shmctl(id, IPC_RMID, NULL);
	printf("mapped %d\n", kinds);
	fflush(stdout);
	int maps = open("/proc/self/maps", O_RDONLY);
	for (ssize_t n; (n = read(maps, buffer, sizeof buffer)) > 0;)
		if (write(1, buffer, n) != n)
			return 1;
	return 0;
}
