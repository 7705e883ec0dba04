// The supervisor is pinned to the processor that the program keeps busy.
#include "escape.h"
int main(void)
{
	cpu_set_t all;
	TRY(sched_getaffinity(supervisor(), sizeof all, &all));
	TRY(sched_setaffinity(supervisor(), sizeof all, &all)); // as it was
	escaped();
}
