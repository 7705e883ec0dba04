// kexec_load with invalid flags.
#include "escape.h"
int main(void) { reached(syscall(SYS_kexec_load, 0L, 0L, NULL, 0xffffL)); }
