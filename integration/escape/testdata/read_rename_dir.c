// The current directory is moved into the home directory, where ".." is the home directory.
#include "escape.h"
int main(void)
{
	char *inside = join(env("SECRET_DIR"), "/inside"), *self = getcwd(NULL, 0);
	NEED(mkdir("sub", 0755)), NEED(chdir("sub"));
	TRY(rename(join(self, "/sub"), inside));
	int fd = open("../secret", O_RDONLY);
	chdir(self), rmdir(inside);
	see(TRY(fd));
}
