// The secret in the home directory, by its name.
#include "escape.h"
int main(void) { see(TRY(open(env("SECRET"), O_RDONLY))); }
