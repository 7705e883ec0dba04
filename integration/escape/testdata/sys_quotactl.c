// quotactl on a device that there is not.
#include "escape.h"
int main(void) { reached(syscall(SYS_quotactl, 0x80000200u, "none", 0, NULL)); }
