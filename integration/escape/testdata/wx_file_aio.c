// The mapped file is written by io_submit, which filters of write do not see.
#include "escape.h"
#include <linux/aio_abi.h>
int main(void)
{
	int fd = file("f");
	putret(fd);
	void *x = map(RX, MAP_PRIVATE, NEED(open("f", O_RDONLY)));
	aio_context_t ctx = 0;
	struct iocb cb = {.aio_fildes = fd, .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_buf = (long)code42, .aio_nbytes = sizeof code42}, *cbs = &cb;
	struct io_event e;
	HOST(syscall(SYS_io_setup, 1, &ctx));
	TRY(syscall(SYS_io_submit, ctx, 1, &cbs));
	TRY(syscall(SYS_io_getevents, ctx, 1, 1, &e, NULL));
	run42(x);
}
