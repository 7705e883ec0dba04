// The kernel's cryptography (AF_ALG): much code of the kernel for nobody's benefit.
#include "escape.h"
int main(void) { HOST(socket(AF_ALG, SOCK_SEQPACKET, 0)); escaped(); }
