// /proc/sys/kernel/core_pattern runs a program as root for each crash: the standard way out of a privileged container.
#include "escape.h"
int main(void) { opened_for_writing("/proc/sys/kernel/core_pattern"); }
