// Written by one name, mapped by another: a hard link.
#include "escape.h"
int main(void)
{
	put42(file("f"));
	NEED(link("f", "libgood.so"));
	run42(map(RX, MAP_PRIVATE, NEED(open("libgood.so", O_RDONLY))));
}
