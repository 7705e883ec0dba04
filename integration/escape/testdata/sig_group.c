// kill of its process group.
#include "escape.h"
int main(void) { TRY(kill(-victim(), SIGUSR1)); escaped(); }
