// sethostname with an impossible length.
#include "escape.h"
int main(void) { reached(syscall(SYS_sethostname, "", -1)); }
