// mseal and mlock on the written page before it is made executable: unknown to older rules.
#include "escape.h"
int main(void)
{
	void *p = map(RW, PRIV, -1);
	mlock2(p, PAGE, MLOCK_ONFAULT);
	write42(p);
	TRY(madvise(p, PAGE, MADV_DONTFORK));
	protect(p, RX);
	run42(p);
}
