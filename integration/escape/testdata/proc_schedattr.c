// The same by sched_setattr.
#include "escape.h"
int main(void)
{
	struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t prio; uint64_t times[3]; } a = {48, SCHED_BATCH};
	TRY(syscall(SYS_sched_setattr, victim(), &a, 0));
	escaped();
}
