// A path that fills sun_path to its end, without a NUL.
#include "escape.h"
int main(void)
{
	struct sockaddr_un a = {AF_UNIX};
	char *path = env("STREAM_SOCKET");
	memset(a.sun_path, '/', sizeof a.sun_path);
	memcpy(a.sun_path + sizeof a.sun_path - strlen(path), path, strlen(path));
	TRY(connect(TRY(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&a, sizeof a));
	escaped();
}
