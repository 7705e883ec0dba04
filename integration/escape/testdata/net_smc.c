// SMC sockets fall back to TCP (AF_SMC).
#include "escape.h"
#include <netinet/in.h>
int main(void)
{
	struct sockaddr_in a = {AF_INET, htons(number("TCP_PORT")), {htonl(INADDR_LOOPBACK)}};
	int s = HOST(socket(43 /* AF_SMC */, SOCK_STREAM, 0));
	TRY(connect(s, (struct sockaddr *)&a, sizeof a));
	escaped();
}
