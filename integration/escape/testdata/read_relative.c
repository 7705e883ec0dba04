// By a relative path with many "..", from the current directory.
#include "escape.h"
int main(void) { see(TRY(open(join("../../../../../../../../../..", env("SECRET")), O_RDONLY))); }
