// process_vm_writev to a process outside.
#include "escape.h"
int main(void)
{
	struct iovec from = {"hit", 3}, to = {(void *)atol(env("MAGIC_ADDRESS")), 3};
	TRY(process_vm_writev(victim(), &from, 1, &to, 1, 0));
	escaped();
}
