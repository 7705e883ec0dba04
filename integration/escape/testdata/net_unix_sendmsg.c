// The same by sendmsg, whose address is behind a pointer.
#include "escape.h"
int main(void)
{
	struct sockaddr_un a;
	struct iovec v = {"hit", 3};
	struct msghdr m = {&a, unix_address(&a, env("DGRAM_SOCKET")), &v, 1};
	TRY(sendmsg(TRY(socket(AF_UNIX, SOCK_DGRAM, 0)), &m, 0));
	escaped();
}
