// A netlink socket: routes, interfaces, uevents, audit.
#include "escape.h"
int main(void) { TRY(socket(AF_NETLINK, SOCK_RAW, 0)); escaped(); }
