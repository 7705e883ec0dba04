// Out of the current directory by chroot into a subdirectory and "..": the classic break of a chroot jail.
#include "escape.h"
int main(void)
{
	NEED(mkdir("jail", 0755));
	HOST(chroot("jail"));
	for (int i = 0; i < 64; i++)
		NEED(chdir(".."));
	TRY(chroot("."));
	see(TRY(open(env("SECRET"), O_RDONLY)));
}
