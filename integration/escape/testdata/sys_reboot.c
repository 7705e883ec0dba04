// reboot with wrong magic numbers: Linux looks at the permission first.
#include "escape.h"
int main(void) { reached(syscall(SYS_reboot, 1, 2, 3, NULL)); }
