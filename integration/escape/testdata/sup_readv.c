// The same by process_vm_readv.
#include "escape.h"
int main(void)
{
	char buf[16];
	struct iovec to = {buf, 16}, from = {(void *)0x400000, 16};
	if (supervisor() == victim())
		from.iov_base = (void *)atol(env("MAGIC_ADDRESS"));
	if (process_vm_readv(supervisor(), &to, 1, &from, 1, 0) == -1 && errno != EFAULT)
		contained("process_vm_readv");
	escaped();
}
