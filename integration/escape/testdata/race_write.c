// A thread opens, writes and closes a file all the time; it is mapped executable when nobody seems to have it open.
#include "escape.h"
static void *writer(void *arg)
{
	for (;;) {
		int fd = open("f", O_WRONLY);
		pwrite(fd, code42, sizeof code42, 0);
		close(fd);
		fd = open("f", O_WRONLY);
		pwrite(fd, "\x31\xc0\xc3\x90\x90", sizeof code42, 0);
		close(fd);
	}
	return NULL;
}
int main(void)
{
	close(file("f"));
	racer(writer, NULL);
	for (int i = 0; i < rounds(); i++) {
		int fd = open("f", O_RDONLY);
		void *p = mmap(NULL, PAGE, RX, MAP_PRIVATE, fd, 0);
		struct stat st = {0};
		fstat(fd, &st);
		close(fd);
		if (p == MAP_FAILED)
			continue;
		if (st.st_size >= sizeof code42 && memcmp(p, code42, sizeof code42) == 0 && runs42(p))
			escaped();
		munmap(p, PAGE);
	}
	errno = EAGAIN, contained("every round");
}
