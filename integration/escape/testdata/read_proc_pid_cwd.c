// By /proc/PID/cwd of a process outside that is in the home directory.
#include "escape.h"
int main(void) { see(TRY(open(proc(victim(), "cwd/secret"), O_RDONLY))); }
