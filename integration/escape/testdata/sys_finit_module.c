// finit_module of a file that is no module.
#include "escape.h"
int main(void) { reached(syscall(SYS_finit_module, NEED(open("payload", O_RDONLY)), "", 0)); }
