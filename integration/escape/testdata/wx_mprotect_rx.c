// Written, then made executable: SELinux execmem, systemd MemoryDenyWriteExecute.
#include "escape.h"
int main(void)
{
	void *p = written();
	protect(p, RX);
	run42(p);
}
