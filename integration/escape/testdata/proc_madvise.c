// process_madvise on a process outside: its memory is paged out.
#include "escape.h"
int main(void)
{
	int fd = TRY(syscall(SYS_pidfd_open, victim(), 0));
	struct iovec v = {(void *)(atol(env("MAGIC_ADDRESS")) & -PAGE), PAGE};
	HOST(syscall(SYS_process_madvise, fd, &v, 1, MADV_COLD, 0));
	escaped();
}
