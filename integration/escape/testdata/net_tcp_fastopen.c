// TCP Fast Open connects by sendto: Landlock's connect_tcp does not see it (landlock-lsm/linux #41).
#include "escape.h"
#include <netinet/in.h>
int main(void)
{
	struct sockaddr_in a = {AF_INET, htons(number("TCP_PORT")), {htonl(INADDR_LOOPBACK)}};
	HOST(sendto(TRY(socket(AF_INET, SOCK_STREAM, 0)), "hit", 3, MSG_FASTOPEN, (struct sockaddr *)&a, sizeof a));
	escaped();
}
