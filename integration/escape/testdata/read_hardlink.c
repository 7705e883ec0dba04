// Through a hard link in the current directory.
#include "escape.h"
int main(void)
{
	TRY(link(env("SECRET"), "link"));
	see(TRY(open("link", O_RDONLY)));
}
