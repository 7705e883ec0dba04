// io_uring: calls that no filter sees, and most of the kernel's recent escalations.
#include "escape.h"
int main(void)
{
	char params[120] = {0};
	HOST(syscall(SYS_io_uring_setup, 1, params));
	escaped();
}
