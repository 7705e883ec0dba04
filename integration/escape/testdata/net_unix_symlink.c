// By a symbolic link in the current directory.
#include "escape.h"
int main(void)
{
	NEED(symlink(env("STREAM_SOCKET"), "link"));
	unix_connect(SOCK_STREAM, "link");
}
