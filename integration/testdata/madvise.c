// madvise, every advice, on parts of mappings of several kinds.
//
// Shows: which advice splits and merges mappings, which only concerns pages, and each errno.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int count(void)
{
	char line[512];
	int n = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof line, f))
		n++;
	fclose(f);
	return n;
}

static void advise(const char *kind, char *p, size_t size, int advice)
{
	int before = count();
	errno = 0;
	int r = madvise(p, size, advice);
	printf("%s %d: %d %s, %+d mappings\n", kind, advice, r, r ? strerror(errno) : "", count() - before);
}

int main(void)
{
	enum { SIZE = 64 * 4096 };
	count(); // the heap and the stream's buffer exist from here on
	int anon = MAP_PRIVATE | MAP_ANONYMOUS, rw = PROT_READ | PROT_WRITE;
	int fd = open("file", O_RDWR | O_CREAT, 0644);
	if (ftruncate(fd, SIZE))
		return 1;
	char *a = mmap(NULL, SIZE, rw, anon, -1, 0);
	char *s = mmap(NULL, SIZE, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *f = mmap(NULL, SIZE, rw, MAP_SHARED, fd, 0);
	char *p = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	char *none = mmap(NULL, SIZE, PROT_NONE, anon, -1, 0);
	char *kinds[] = {a, s, f, p, none};
	const char *names[] = {"anonymous", "shared", "file", "private file", "no access"};
	for (int k = 0; k < 5; k++)
		for (int advice = 0; advice <= 26; advice++)
			advise(names[k], kinds[k] + 8 * 4096, 8 * 4096, advice);
	advise("poison", a, 4096, 9999);
	mlock(a, 8 * 4096);
	advise("locked", a, 8192, MADV_DONTNEED);
	advise("locked", a, 8192, MADV_WILLNEED);
	advise("unaligned", a + 1, 4096, MADV_RANDOM);
	advise("nothing", a, 0, MADV_RANDOM);
	advise("wrapping", a, (size_t)-4096, MADV_RANDOM);
	munmap(a + 20 * 4096, 4096);
	advise("with a hole", a + 16 * 4096, 16 * 4096, MADV_RANDOM);
	advise("with a hole", a + 16 * 4096, 16 * 4096, MADV_DONTNEED);
	for (int i = 0; i < SIZE / 4096; i += 2)
		madvise(s + i * 4096, 4096, MADV_SEQUENTIAL);
	advise("merge", s, SIZE, MADV_SEQUENTIAL);
	advise("merge", s, SIZE, MADV_NORMAL);
	return 0;
}
