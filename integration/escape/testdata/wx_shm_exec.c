// A System V segment attached with SHM_EXEC: systemd's MemoryDenyWriteExecute did not look at shmat at first (systemd #4495).
#include "escape.h"
int main(void)
{
	int id = NEED(shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0700));
	void *p = shmat(id, NULL, SHM_EXEC);
	int e = errno;
	shmctl(id, IPC_RMID, NULL);
	errno = e;
	TRY(p);
	write42(p);
	run42(p);
}
