// The supervisor is traced by its own program.
#include "escape.h"
int main(void) { TRY(ptrace(PTRACE_SEIZE, supervisor(), 0, 0)); escaped(); }
