// kcmp compares kernel addresses with those of a process outside.
#include "escape.h"
int main(void) { TRY(syscall(SYS_kcmp, getpid(), victim(), 1 /* KCMP_VM */, 0, 0)); escaped(); }
