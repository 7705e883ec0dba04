// /proc/sysrq-trigger.
#include "escape.h"
int main(void) { opened_for_writing("/proc/sysrq-trigger"); }
