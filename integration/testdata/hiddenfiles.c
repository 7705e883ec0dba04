// Files in memory that are hard to follow: one that has two names, of which the descriptor by one is closed
// while there is another by the other; and one that truncate(2) finds by unusual paths.
//
// Usage: hiddenfiles. Under a limit of 64M it shows: that they are charged as long as they are there.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const off_t size = 40 << 20;

/* Whether there is room for another such file. */
static const char *room(void)
{
	int fd = memfd_create("probe", 0);
	int got = ftruncate(fd, size);
	close(fd);
	return got == 0 ? "room" : "none";
}

static void two_names(int mapped)
{
	char a[64], b[64];
	snprintf(a, sizeof a, "/dev/shm/hiddenfiles-%d-a", (int)getpid());
	snprintf(b, sizeof b, "/dev/shm/hiddenfiles-%d-b", (int)getpid());
	int first = open(a, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (link(a, b) != 0)
		exit(1);
	int second = open(b, O_RDONLY);
	unlink(a);
	unlink(b);
	if (ftruncate(first, size) != 0)
		exit(1);
	void *map = MAP_FAILED;
	if (mapped) {
		map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, second, 0);
		close(second);
	}
	close(first);
	printf("two names, %s: %s, ", mapped ? "mapped" : "open", room());
	if (mapped)
		munmap(map, 4096);
	else
		close(second);
	printf("in the end %s\n", room());
}

static void by_path(const char *form)
{
	char path[64];
	int fd = memfd_create("by path", 0);
	snprintf(path, sizeof path, form, fd);
	int got = truncate(path, size);
	printf("%s: %d, %s, ", form, got, room());
	close(fd);
	printf("in the end %s\n", room());
}

int main(void)
{
	two_names(0);
	two_names(1);
	by_path("/proc/self/fd/%d");
	by_path("/proc/./self/fd/%d");
	by_path("//proc/thread-self/../../fd/%d");
	by_path("/dev/../dev/fd/%d");
	return 0;
}
