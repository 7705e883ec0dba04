// A socket is bound outside.
#include "escape.h"
int main(void)
{
	struct sockaddr_un a;
	int n = unix_address(&a, join(env("OUTSIDE"), "/new"));
	TRY(bind(NEED(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&a, n));
	escaped();
}
