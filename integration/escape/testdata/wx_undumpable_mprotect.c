// The same for memory that was written before.
#include "escape.h"
int main(void)
{
	void *p = written();
	NEED(prctl(PR_SET_DUMPABLE, 0));
	protect(p, RX);
	run42(p);
}
