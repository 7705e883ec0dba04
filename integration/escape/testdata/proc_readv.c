// process_vm_readv of a process outside.
#include "escape.h"
int main(void)
{
	char buf[13];
	struct iovec to = {buf, 13}, from = {(void *)atol(env("MAGIC_ADDRESS")), 13};
	TRY(process_vm_readv(victim(), &to, 1, &from, 1, 0));
	if (memcmp(buf, "RUNSBX-SECRET", 13) == 0)
		escaped();
	contained("something else");
}
