// rt_sigqueueinfo (sigqueue).
#include "escape.h"
int main(void) { TRY(sigqueue(victim(), SIGRTMIN, (union sigval){1})); escaped(); }
