// ioprio_set on a process outside.
#include "escape.h"
int main(void) { TRY(syscall(SYS_ioprio_set, 1, victim(), 3 << 13)); escaped(); }
