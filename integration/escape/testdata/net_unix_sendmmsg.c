// The same by sendmmsg, the second of two messages, with a descriptor of ours in it.
#include "escape.h"
int main(void)
{
	struct sockaddr_un a, own;
	struct iovec v = {"hit", 3};
	int n = unix_address(&a, env("DGRAM_SOCKET")), m = unix_address(&own, "own"), r = TRY(socket(AF_UNIX, SOCK_DGRAM, 0));
	NEED(bind(r, (struct sockaddr *)&own, m));
	struct mmsghdr mm[2] = {{{&own, m, &v, 1}}, {{&a, n, &v, 1}}};
	if (TRY(sendmmsg(TRY(socket(AF_UNIX, SOCK_DGRAM, 0)), mm, 2, 0)) == 2)
		escaped();
	contained("the second message");
}
