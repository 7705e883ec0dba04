// A datagram to a socket outside by sendto, without connect.
#include "escape.h"
int main(void)
{
	struct sockaddr_un a;
	int n = unix_address(&a, env("DGRAM_SOCKET"));
	TRY(sendto(TRY(socket(AF_UNIX, SOCK_DGRAM, 0)), "hit", 3, 0, (struct sockaddr *)&a, n));
	escaped();
}
