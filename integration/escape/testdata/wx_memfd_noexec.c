// MFD_NOEXEC_SEAL forbids execve, not mmap (F_SEAL_EXEC, Linux 6.3).
#include "escape.h"
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
int main(void)
{
	int fd = HOST(memfd_create("code", MFD_NOEXEC_SEAL));
	put42(fd);
	run42(map(RX, MAP_PRIVATE, fd));
}
