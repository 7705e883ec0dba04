// A higher priority than the user's other programs, and real-time scheduling, which can stop all others.
#include "escape.h"
int main(void)
{
	if (setpriority(PRIO_PROCESS, 0, -5) == 0)
		escaped();
	HOST(sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){1}));
	escaped();
}
