// sched_setscheduler makes a process outside run last (SCHED_IDLE).
#include "escape.h"
int main(void)
{
	TRY(sched_setscheduler(victim(), SCHED_IDLE, &(struct sched_param){0}));
	escaped();
}
