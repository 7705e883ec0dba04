// A descriptor with bits above 32, which the kernel cuts off: who looks for descriptor 4294967299 finds none.
#include "escape.h"
int main(void)
{
	int fd = memfd(0);
	put42(fd);
	run42((void *)TRY(syscall(SYS_mmap, 0L, (long)PAGE, (long)RX, (long)MAP_PRIVATE, 1L << 32 | fd, 0L)));
}
