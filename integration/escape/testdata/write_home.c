// The shell's start-up file in the home directory (HOME itself may be another).
#include "escape.h"
int main(void)
{
	char *path = join(env("SECRET_DIR"), "/.bashrc");
	TRY(open(path, O_WRONLY | O_CREAT, 0600));
	unlink(path);
	escaped();
}
