// A timer that signals a thread (SIGEV_THREAD_ID) outside: Linux allows threads of one's own process only.
#include "escape.h"
#include <time.h>
int main(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
	timer_t t;
	e._sigev_un._tid = victim();
	HOST(timer_create(CLOCK_MONOTONIC, &e, &t));
	timer_settime(t, 0, &(struct itimerspec){.it_value.tv_nsec = 1}, NULL);
	usleep(50000);
	tried();
}
