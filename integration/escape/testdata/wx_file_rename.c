// Opened before, swapped by renameat2(RENAME_EXCHANGE), mapped after.
#include "escape.h"
int main(void)
{
	putret(file("good"));
	put42(file("bad"));
	NEED(renameat2(AT_FDCWD, "good", AT_FDCWD, "bad", RENAME_EXCHANGE));
	run42(map(RX, MAP_PRIVATE, NEED(open("good", O_RDONLY))));
}
