// PROT_EXEC alone, without PROT_READ: filters that compare the protection with READ|EXEC miss it.
#include "escape.h"
int main(void)
{
	void *p = written();
	protect(p, PROT_EXEC);
	run42(p);
}
