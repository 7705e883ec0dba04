// The shell's start-up file of the user.
#include "escape.h"
int main(void)
{
	char *path = join(env("HOME"), "/.bashrc");
	TRY(open(path, O_WRONLY | O_CREAT, 0600));
	unlink(path);
	escaped();
}
