// One segment attached twice: writable, and read-only with SHM_EXEC.
#include "escape.h"
int main(void)
{
	int id = NEED(shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0700));
	void *w = NEED(shmat(id, NULL, 0)), *x = shmat(id, NULL, SHM_RDONLY | SHM_EXEC);
	int e = errno;
	shmctl(id, IPC_RMID, NULL);
	errno = e;
	TRY(x);
	write42(w);
	run42(x);
}
