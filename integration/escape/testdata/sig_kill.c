// kill of a process outside of the same user.
#include "escape.h"
int main(void) { TRY(kill(victim(), SIGUSR1)); escaped(); }
