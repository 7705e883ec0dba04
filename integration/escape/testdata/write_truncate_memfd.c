// truncate of a memory file of another process, through /proc/PID/fd.
#include "escape.h"
int main(void) { TRY(truncate(proc(victim(), join("fd/", env("VICTIM_MEMFD"))), 2 * PAGE)); escaped(); }
