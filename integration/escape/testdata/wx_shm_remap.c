// A segment attached over an innocent mapping with SHM_REMAP and SHM_EXEC.
#include "escape.h"
int main(void)
{
	void *p = map(PROT_READ, PRIV, -1);
	int id = NEED(shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0700));
	void *w = NEED(shmat(id, NULL, 0));
	write42(w);
	NEED(shmdt(w));
	p = shmat(id, p, SHM_REMAP | SHM_RDONLY | SHM_EXEC);
	int e = errno;
	shmctl(id, IPC_RMID, NULL);
	errno = e;
	run42(TRY(p));
}
