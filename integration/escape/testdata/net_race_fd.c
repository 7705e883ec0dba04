// The descriptor is exchanged: a socket pair when it is looked at, an unconnected socket when it is used.
#include "escape.h"
static int pair[2], fresh, s;
static void *swapper(void *arg)
{
	for (;;)
		dup2(fresh, s), dup2(pair[0], s);
	return NULL;
}
int main(void)
{
	struct sockaddr_un a;
	int n = unix_address(&a, env("STREAM_SOCKET"));
	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	fresh = NEED(socket(AF_UNIX, SOCK_STREAM, 0)), s = NEED(dup(pair[0]));
	racer(swapper, NULL);
	for (int i = 0; i < rounds(); i++)
		if (connect(s, (struct sockaddr *)&a, n) == 0)
			escaped();
	errno = EAGAIN, contained("every round");
}
