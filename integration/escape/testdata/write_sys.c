// Settings of devices and of the kernel in /sys.
#include "escape.h"
int main(void) { opened_for_writing("/sys/kernel/mm/transparent_hugepage/enabled"); }
