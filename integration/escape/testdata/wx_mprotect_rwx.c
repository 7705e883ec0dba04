// The same, and still writable.
#include "escape.h"
int main(void)
{
	void *p = map(RW, PRIV, -1);
	protect(p, RWX);
	write42(p);
	run42(p);
}
