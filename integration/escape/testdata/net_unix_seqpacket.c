// The same for sequential packets.
#include "escape.h"
int main(void) { unix_connect(SOCK_SEQPACKET, env("SEQPACKET_SOCKET")); }
