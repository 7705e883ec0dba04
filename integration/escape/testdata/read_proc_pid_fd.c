// By /proc/PID/fd of a process outside that has the secret open.
#include "escape.h"
int main(void) { see(TRY(open(proc(victim(), join("fd/", env("VICTIM_FD"))), O_RDONLY))); }
