// Written memory is moved onto a place that was executable; who keeps protections by address is misled.
#include "escape.h"
int main(void)
{
	void *place = map(RX, PRIV, -1), *p = written();
	TRY(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place));
	protect(place, RX);
	run42(place);
}
