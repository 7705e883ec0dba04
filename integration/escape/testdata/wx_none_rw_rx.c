// Reserved with PROT_NONE, then RW, then RX: rules that look only at mmap's protection miss it.
#include "escape.h"
int main(void)
{
	void *p = map(PROT_NONE, PRIV, -1);
	protect(p, RW);
	write42(p);
	protect(p, PROT_NONE);
	protect(p, RX);
	run42(p);
}
