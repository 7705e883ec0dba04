// The same for mprotect(PROT_READ).
#include "escape.h"
int main(void)
{
	void *p = written();
	TRY(personality(READ_IMPLIES_EXEC));
	protect(p, PROT_READ);
	run42(p);
}
