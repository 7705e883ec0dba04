// The same for shmat.
#include "escape.h"
int main(void)
{
	TRY(personality(READ_IMPLIES_EXEC));
	int id = NEED(shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0700));
	void *p = shmat(id, NULL, 0);
	int e = errno;
	shmctl(id, IPC_RMID, NULL);
	errno = e;
	TRY(p);
	write42(p);
	run42(p);
}
