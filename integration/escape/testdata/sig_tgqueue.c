// rt_tgsigqueueinfo.
#include "escape.h"
int main(void)
{
	siginfo_t si = {.si_signo = SIGRTMIN, .si_code = SI_QUEUE};
	TRY(syscall(SYS_rt_tgsigqueueinfo, victim(), victim(), SIGRTMIN, &si));
	escaped();
}
