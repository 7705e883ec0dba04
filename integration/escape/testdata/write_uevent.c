// /sys/kernel/uevent_helper, another program that the kernel runs as root.
#include "escape.h"
int main(void) { opened_for_writing("/sys/kernel/uevent_helper"); }
