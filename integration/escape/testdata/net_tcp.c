// A TCP connection to a server on this host.
#include "escape.h"
#include <netinet/in.h>
int main(void)
{
	struct sockaddr_in a = {AF_INET, htons(number("TCP_PORT")), {htonl(INADDR_LOOPBACK)}};
	TRY(connect(TRY(socket(AF_INET, SOCK_STREAM, 0)), (struct sockaddr *)&a, sizeof a));
	escaped();
}
