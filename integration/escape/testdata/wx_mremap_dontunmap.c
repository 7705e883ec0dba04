// MREMAP_DONTUNMAP leaves an empty mapping behind and takes the written pages elsewhere.
#include "escape.h"
int main(void)
{
	void *q = TRY(mremap(written(), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL));
	protect(q, RX);
	run42(q);
}
