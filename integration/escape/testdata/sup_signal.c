// A signal to the supervisor, which is the program's tracer (SIGURG, which would not harm it).
#include "escape.h"
int main(void) { TRY(kill(supervisor(), SIGURG)); escaped(); }
