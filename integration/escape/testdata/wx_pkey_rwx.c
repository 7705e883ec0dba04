// pkey_mprotect to writable and executable.
#include "escape.h"
int main(void)
{
	void *p = map(RW, PRIV, -1);
	TRY(syscall(SYS_pkey_mprotect, p, PAGE, RWX, -1));
	write42(p);
	run42(p);
}
