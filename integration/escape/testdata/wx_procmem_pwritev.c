// /proc/self/mem written by lseek and writev, sendfile or splice instead of pwrite.
#include "escape.h"
int main(void)
{
	void *p = file_page();
	int fd = TRY(open("/proc/self/mem", O_RDWR));
	struct iovec v = {(void *)code42, sizeof code42};
	TRY(lseek(fd, (off_t)p, SEEK_SET));
	TRY(writev(fd, &v, 1));
	run42(p);
}
