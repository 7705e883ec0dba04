// A file in memory comes from another process through a socket (SCM_RIGHTS).
#include "escape.h"
int main(void)
{
	int s[2], fd;
	char control[CMSG_SPACE(sizeof fd)] = {0}, byte = 0;
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	pid_t pid = NEED(fork());
	if (pid == 0) {
		fd = memfd(0);
		put42(fd);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
		sendmsg(s[1], &m, 0);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	NEED(recvmsg(s[0], &m, MSG_DONTWAIT));
	if (!CMSG_FIRSTHDR(&m))
		contained("SCM_RIGHTS");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	run42(map(RX, MAP_PRIVATE, fd));
}
