// process_vm_writev writes a page that its owner never wrote, and that becomes executable afterwards.
#include "escape.h"
int main(void)
{
	void *p = map(RW, PRIV, -1);
	struct iovec from = {(void *)code42, sizeof code42}, to = {p, sizeof code42};
	TRY(process_vm_writev(getpid(), &from, 1, &to, 1, 0));
	protect(p, RX);
	run42(p);
}
