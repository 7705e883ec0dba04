// sched_setaffinity pins a process outside to one processor.
#include "escape.h"
int main(void)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	TRY(sched_setaffinity(victim(), sizeof one, &one));
	escaped();
}
