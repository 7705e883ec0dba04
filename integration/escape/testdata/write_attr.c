// /proc/self/attr: labels of security modules.
#include "escape.h"
int main(void) { opened_for_writing("/proc/self/attr/current"); }
