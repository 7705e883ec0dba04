// By a hard link of the socket in the current directory.
#include "escape.h"
int main(void)
{
	TRY(link(env("STREAM_SOCKET"), "link"));
	unix_connect(SOCK_STREAM, "link");
}
