// pidfd_send_signal.
#include "escape.h"
int main(void)
{
	int fd = TRY(syscall(SYS_pidfd_open, victim(), 0));
	TRY(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0));
	escaped();
}
