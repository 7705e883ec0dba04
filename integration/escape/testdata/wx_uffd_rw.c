// userfaultfd fills a page that was never written by anybody, which then becomes executable.
#include "escape.h"
#include <linux/userfaultfd.h>
int main(void)
{
	int fd = HOST(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
	NEED(ioctl(fd, UFFDIO_API, &(struct uffdio_api){.api = UFFD_API}));
	void *p = map(PROT_READ, PRIV, -1);
	struct uffdio_register r = {{(long)p, PAGE}, UFFDIO_REGISTER_MODE_MISSING};
	TRY(ioctl(fd, UFFDIO_REGISTER, &r));
	struct uffdio_copy c = {(long)p, (long)written(), PAGE};
	TRY(ioctl(fd, UFFDIO_COPY, &c));
	protect(p, RX);
	run42(p);
}
