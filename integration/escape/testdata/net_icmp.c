// An ICMP socket without privileges (ping_group_range).
#include "escape.h"
#include <netinet/in.h>
int main(void) { HOST(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)); escaped(); }
