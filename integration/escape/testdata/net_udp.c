// A UDP datagram: Landlock has no rule for it (landlock-lsm/linux #10).
#include "escape.h"
#include <netinet/in.h>
int main(void)
{
	struct sockaddr_in a = {AF_INET, htons(number("UDP_PORT")), {htonl(INADDR_LOOPBACK)}};
	TRY(sendto(TRY(socket(AF_INET, SOCK_DGRAM, 0)), "hit", 3, 0, (struct sockaddr *)&a, sizeof a));
	escaped();
}
