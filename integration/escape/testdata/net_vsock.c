// A vsock to the machine's host.
#include "escape.h"
int main(void) { HOST(socket(AF_VSOCK, SOCK_STREAM, 0)); escaped(); }
