// acct with a file that there is not.
#include "escape.h"
int main(void) { reached(syscall(SYS_acct, "none")); }
