// The same for datagrams, by connect.
#include "escape.h"
int main(void) { unix_connect(SOCK_DGRAM, env("DGRAM_SOCKET")); }
