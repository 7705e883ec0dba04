// By a relative path with "..".
#include "escape.h"
int main(void) { unix_connect(SOCK_STREAM, "../outside/stream"); }
