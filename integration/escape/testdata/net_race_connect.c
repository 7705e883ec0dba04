// The address in memory is changed by another thread between the supervisor's look at it and the call: own socket, then the one outside.
#include "escape.h"
static struct sockaddr_un a, own, out;
static void *swapper(void *arg)
{
	for (;;)
		memcpy(&a, &out, sizeof a), memcpy(&a, &own, sizeof a);
	return NULL;
}
int main(void)
{
	int s = TRY(socket(AF_UNIX, SOCK_DGRAM, 0)), r = TRY(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
	char buf[8];
	unix_address(&own, "own"), unix_address(&out, env("DGRAM_SOCKET"));
	NEED(bind(r, (struct sockaddr *)&own, sizeof own));
	a = own;
	racer(swapper, NULL);
	for (int i = 0; i < rounds(); i++) {
		int n = sendto(s, "hit", 3, MSG_DONTWAIT, (struct sockaddr *)&a, sizeof a);
		if (n == 3 && recv(r, buf, 8, 0) < 0)
			escaped(); // it did not come to us
	}
	errno = EAGAIN, contained("every round");
}
