// Mapped through a symbolic link that looks like the system's.
#include "escape.h"
int main(void)
{
	put42(file("f"));
	NEED(mkdir("lib", 0755));
	NEED(symlink("../f", "lib/libc.so.6"));
	run42(map(RX, MAP_PRIVATE, NEED(open("lib/libc.so.6", O_RDONLY))));
}
