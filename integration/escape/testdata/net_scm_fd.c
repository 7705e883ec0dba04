// A descriptor of ours is sent to a process outside (SCM_RIGHTS), which would do with it what we may not.
#include "escape.h"
int main(void)
{
	struct sockaddr_un a;
	struct iovec v = {"hit", 3};
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct msghdr m = {&a, unix_address(&a, env("DGRAM_SOCKET")), &v, 1, control, sizeof control};
	*CMSG_FIRSTHDR(&m) = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	TRY(sendmsg(TRY(socket(AF_UNIX, SOCK_DGRAM, 0)), &m, 0));
	escaped();
}
