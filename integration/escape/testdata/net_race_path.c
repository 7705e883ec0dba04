// The path leads to one's own socket when it is looked at, and outside when it is used: a symbolic link is exchanged.
#include "escape.h"
static void *swapper(void *arg)
{
	for (;;)
		renameat2(AT_FDCWD, "good", AT_FDCWD, "bad", RENAME_EXCHANGE);
	return NULL;
}
int main(void)
{
	struct sockaddr_un own, a;
	int r = TRY(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)), s = TRY(socket(AF_UNIX, SOCK_DGRAM, 0));
	char buf[8];
	NEED(bind(r, (struct sockaddr *)&own, unix_address(&own, "own")));
	NEED(symlink("own", "good")), NEED(symlink(env("DGRAM_SOCKET"), "bad"));
	int n = unix_address(&a, "good");
	racer(swapper, NULL);
	for (int i = 0; i < rounds(); i++)
		if (sendto(s, "hit", 3, MSG_DONTWAIT, (struct sockaddr *)&a, n) == 3 && recv(r, buf, 8, 0) < 0)
			escaped();
	errno = EAGAIN, contained("every round");
}
