// The rings of io_uring are memory shared with the kernel; they are mapped a second time, executable.
#include "escape.h"
#include <linux/io_uring.h>
int main(void)
{
	struct io_uring_params params = {0};
	int fd = HOST(syscall(SYS_io_uring_setup, 64, &params));
	void *w = TRY(mmap(NULL, PAGE, RW, MAP_SHARED, fd, IORING_OFF_SQES));
	write42(w);
	run42(HOST(mmap(NULL, PAGE, RX, MAP_SHARED, fd, IORING_OFF_SQES)));
}
