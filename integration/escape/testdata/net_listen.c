// A TCP server.
#include "escape.h"
#include <netinet/in.h>
int main(void)
{
	struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
	int s = TRY(socket(AF_INET, SOCK_STREAM, 0));
	TRY(bind(s, (struct sockaddr *)&a, sizeof a));
	TRY(listen(s, 1));
	escaped();
}
