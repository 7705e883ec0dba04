// pkey_mprotect with key -1 is mprotect by another number: systemd's MemoryDenyWriteExecute let it through until 2017 (systemd #7295).
#include "escape.h"
int main(void)
{
	void *p = written();
	TRY(syscall(SYS_pkey_mprotect, p, PAGE, RX, -1));
	run42(p);
}
