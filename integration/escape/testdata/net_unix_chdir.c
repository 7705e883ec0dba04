// From another current directory, by a short relative name: who resolves it against the first directory is misled.
#include "escape.h"
int main(void)
{
	close(file("stream"));
	TRY(chdir(env("OUTSIDE")));
	unix_connect(SOCK_STREAM, "stream");
}
