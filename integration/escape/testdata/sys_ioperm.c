// ioperm: one port of the machine.
#include "escape.h"
int main(void) { reached(syscall(SYS_ioperm, 0x80L, 1L, 1)); }
