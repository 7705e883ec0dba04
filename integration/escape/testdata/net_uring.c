// io_uring connects in place of connect(2).
#include "escape.h"
#include <linux/io_uring.h>
int main(void)
{
	struct sockaddr_un a;
	int n = unix_address(&a, env("STREAM_SOCKET")), s = TRY(socket(AF_UNIX, SOCK_STREAM, 0));
	struct io_uring_params p = {0};
	int fd = HOST(syscall(SYS_io_uring_setup, 1, &p));
	char *ring = TRY(mmap(NULL, PAGE, RW, MAP_SHARED, fd, IORING_OFF_SQ_RING));
	struct io_uring_sqe *sqe = TRY(mmap(NULL, PAGE, RW, MAP_SHARED, fd, IORING_OFF_SQES));
	*sqe = (struct io_uring_sqe){.opcode = IORING_OP_CONNECT, .fd = s, .addr = (long)&a, .off = n};
	++*(unsigned *)(ring + p.sq_off.tail);
	TRY(syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
	int r = ((struct io_uring_cqe *)(ring + p.cq_off.cqes))->res;
	if (r < 0)
		errno = -r, contained("IORING_OP_CONNECT");
	escaped();
}
