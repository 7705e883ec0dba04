// setpriority on a process outside.
#include "escape.h"
int main(void) { TRY(setpriority(PRIO_PROCESS, victim(), 5)); escaped(); }
