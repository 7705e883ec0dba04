// A directory of the caller that nobody closed.
#include "escape.h"
int main(void) { see(TRY(openat(9, "secret", O_RDONLY))); }
