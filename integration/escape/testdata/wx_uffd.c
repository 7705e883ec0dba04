// userfaultfd fills a missing page of executable memory: UFFDIO_COPY takes no notice of the protection.
#include "escape.h"
#include <linux/userfaultfd.h>
int main(void)
{
	int fd = HOST(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
	NEED(ioctl(fd, UFFDIO_API, &(struct uffdio_api){.api = UFFD_API}));
	void *x = map(RX, PRIV, -1);
	struct uffdio_register r = {{(long)x, PAGE}, UFFDIO_REGISTER_MODE_MISSING};
	HOST(ioctl(fd, UFFDIO_REGISTER, &r)); // refused for what may never be written
	struct uffdio_copy c = {(long)x, (long)written(), PAGE};
	TRY(ioctl(fd, UFFDIO_COPY, &c));
	run42(x);
}
