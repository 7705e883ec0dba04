// setpriority on the process group of a process outside.
#include "escape.h"
int main(void) { TRY(setpriority(PRIO_PGRP, victim(), 5)); escaped(); }
