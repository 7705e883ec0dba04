// pidfd_getfd takes a descriptor from a process outside.
#include "escape.h"
int main(void)
{
	int fd = TRY(syscall(SYS_pidfd_open, victim(), 0));
	see(TRY(syscall(SYS_pidfd_getfd, fd, number("VICTIM_FD"), 0)));
}
