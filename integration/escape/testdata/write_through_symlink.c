// A symbolic link in the current directory leads outside.
#include "escape.h"
int main(void)
{
	NEED(symlink(env("VICTIM_FILE"), "link"));
	TRY(write(TRY(open("link", O_WRONLY)), "hit", 3));
	escaped();
}
