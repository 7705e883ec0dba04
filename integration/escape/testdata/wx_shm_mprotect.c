// A segment attached writable, made executable by mprotect.
#include "escape.h"
int main(void)
{
	int id = NEED(shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0700));
	void *p = NEED(shmat(id, NULL, 0));
	shmctl(id, IPC_RMID, NULL);
	write42(p);
	protect(p, RX);
	run42(p);
}
