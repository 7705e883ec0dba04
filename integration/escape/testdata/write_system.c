// A file of the system, which is root's: only opened.
#include "escape.h"
int main(void) { opened_for_writing("/etc/hostname"); }
