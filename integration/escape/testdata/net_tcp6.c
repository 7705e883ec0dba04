// The same by an IPv6 socket and a mapped address.
#include "escape.h"
#include <netinet/in.h>
int main(void)
{
	struct sockaddr_in6 a = {AF_INET6, htons(number("TCP_PORT"))};
	int s = HOST(socket(AF_INET6, SOCK_STREAM, 0));
	memcpy(&a.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
	HOST(connect(s, (struct sockaddr *)&a, sizeof a));
	escaped();
}
