// pidfd_send_signal with a directory of /proc in place of a pidfd.
#include "escape.h"
int main(void)
{
	int fd = TRY(open(proc(victim(), ""), O_RDONLY | O_DIRECTORY));
	TRY(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0));
	escaped();
}
