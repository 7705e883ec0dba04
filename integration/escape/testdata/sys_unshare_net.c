// A network namespace of one's own, with a user namespace where it is needed.
#include "escape.h"
int main(void) { namespaces(CLONE_NEWNET); escaped(); }
