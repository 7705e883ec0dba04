// The kernel's log.
#include "escape.h"
int main(void) { opened_for_writing("/dev/kmsg"); }
