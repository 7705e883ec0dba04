// A semaphore outside is raised.
#include "escape.h"
#include <sys/sem.h>
int main(void)
{
	TRY(semop(number("SEM_ID"), &(struct sembuf){0, 1, 0}, 1));
	escaped();
}
