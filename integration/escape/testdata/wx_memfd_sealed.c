// Sealed against writing after it was written (MFD_EXEC, F_SEAL_WRITE): "nobody can write it" is not "nobody wrote it".
#include "escape.h"
#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif
int main(void)
{
	int fd = HOST(memfd_create("code", MFD_EXEC | MFD_ALLOW_SEALING));
	put42(fd);
	NEED(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
	run42(map(RX, MAP_PRIVATE, fd));
}
