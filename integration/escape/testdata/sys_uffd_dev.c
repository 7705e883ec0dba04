// The same by /dev/userfaultfd.
#include "escape.h"
int main(void)
{
	int fd = HOST(open("/dev/userfaultfd", O_RDWR));
	HOST(ioctl(fd, 0xaa00 /* USERFAULTFD_IOC_NEW */, O_CLOEXEC));
	escaped();
}
