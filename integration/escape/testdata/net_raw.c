// A raw socket.
#include "escape.h"
#include <netinet/in.h>
int main(void) { HOST(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); escaped(); }
