// A connection to a socket in a directory outside, as ssh-agent, the session bus and docker.sock have (landlock-lsm/linux #36, landrun #43).
#include "escape.h"
int main(void) { unix_connect(SOCK_STREAM, env("STREAM_SOCKET")); }
