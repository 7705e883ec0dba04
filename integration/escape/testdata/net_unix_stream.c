// A connection to a socket in a directory outside, as ssh-agent, the session bus and docker.sock have.
#include "escape.h"
int main(void) { unix_connect(SOCK_STREAM, env("STREAM_SOCKET")); }
