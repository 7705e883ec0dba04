// An abstract name of one's own, by which a program outside could be deceived.
#include "escape.h"
int main(void)
{
	struct sockaddr_un a;
	int n = unix_address(&a, "@runsbx-escape-name"), s = TRY(socket(AF_UNIX, SOCK_STREAM, 0));
	TRY(bind(s, (struct sockaddr *)&a, n));
	escaped();
}
