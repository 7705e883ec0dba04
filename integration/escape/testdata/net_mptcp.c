// Multipath TCP is another protocol with the same servers: Landlock's TCP rules do not cover it (landlock-lsm/linux #54).
#include "escape.h"
#include <netinet/in.h>
int main(void)
{
	struct sockaddr_in a = {AF_INET, htons(number("TCP_PORT")), {htonl(INADDR_LOOPBACK)}};
	int s = HOST(socket(AF_INET, SOCK_STREAM, 262 /* IPPROTO_MPTCP */));
	TRY(connect(s, (struct sockaddr *)&a, sizeof a));
	escaped();
}
