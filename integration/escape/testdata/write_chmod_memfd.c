// chmod of a memory file of another process, which has no path, through /proc/PID/fd.
#include "escape.h"
int main(void) { TRY(chmod(proc(victim(), join("fd/", env("VICTIM_MEMFD"))), 0)); escaped(); }
