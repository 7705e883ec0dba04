// iopl(3): the ports of the machine.
#include "escape.h"
int main(void) { reached(syscall(SYS_iopl, 3)); }
