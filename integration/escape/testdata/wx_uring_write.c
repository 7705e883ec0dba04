// io_uring writes a file that is mapped executable; no write call is seen.
#include "escape.h"
#include <linux/io_uring.h>
int main(void)
{
	int f = file("f");
	putret(f);
	void *x = map(RX, MAP_PRIVATE, NEED(open("f", O_RDONLY)));
	struct io_uring_params p = {0};
	int fd = HOST(syscall(SYS_io_uring_setup, 1, &p));
	char *ring = TRY(mmap(NULL, PAGE, RW, MAP_SHARED, fd, IORING_OFF_SQ_RING));
	struct io_uring_sqe *sqe = TRY(mmap(NULL, PAGE, RW, MAP_SHARED, fd, IORING_OFF_SQES));
	*sqe = (struct io_uring_sqe){.opcode = IORING_OP_WRITE, .fd = f, .addr = (long)code42, .len = sizeof code42};
	++*(unsigned *)(ring + p.sq_off.tail);
	TRY(syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
	run42(x);
}
