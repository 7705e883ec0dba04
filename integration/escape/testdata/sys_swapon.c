// swapon of a file that there is not.
#include "escape.h"
int main(void) { reached(syscall(SYS_swapon, "none", 0)); }
