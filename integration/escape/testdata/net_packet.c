// A packet socket: all that passes the interfaces.
#include "escape.h"
int main(void) { HOST(socket(AF_PACKET, SOCK_RAW, 0)); escaped(); }
