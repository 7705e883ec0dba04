// Through a symbolic link in the current directory.
#include "escape.h"
int main(void)
{
	NEED(symlink(env("SECRET"), "link"));
	see(TRY(open("link", O_RDONLY)));
}
