// A symbolic link is made outside, where someone may follow it.
#include "escape.h"
int main(void)
{
	TRY(symlink("/etc/passwd", join(env("OUTSIDE"), "/new")));
	escaped();
}
