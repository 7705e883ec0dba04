// process_mrelease: reaps a dying process; of a living one EINVAL.
#include "escape.h"
int main(void)
{
	int fd = TRY(syscall(SYS_pidfd_open, victim(), 0));
	reached(syscall(SYS_process_mrelease, fd, 0));
}
