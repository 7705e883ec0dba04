// kill of the parent: the one who has called runsbx, or runsbx.
#include "escape.h"
int main(void) { HOST(kill(getppid(), SIGURG)); escaped(); }
