// The secret is moved into the current directory, and back.
#include "escape.h"
int main(void)
{
	TRY(rename(env("SECRET"), "moved"));
	int fd = open("moved", O_RDONLY);
	rename("moved", env("SECRET"));
	see(TRY(fd));
}
