// Written memory is moved between two executable pages of one mapping, and mprotect asked for all three.
#include "escape.h"
int main(void)
{
	char *place = TRY(mmap(NULL, 3 * PAGE, RX, PRIV, -1, 0));
	TRY(mremap(written(), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + PAGE));
	TRY(mprotect(place, 3 * PAGE, RX));
	run42(place + PAGE);
}
