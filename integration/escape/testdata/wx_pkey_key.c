// A protection key takes write access away from executable memory, and WRPKRU gives it back without any call.
#include "escape.h"
int main(void)
{
	void *p = map(RW, PRIV, -1);
	int key = HOST(pkey_alloc(0, PKEY_DISABLE_WRITE));
	TRY(pkey_mprotect(p, PAGE, RWX, key));
	pkey_set(key, 0);
	write42(p);
	run42(p);
}
