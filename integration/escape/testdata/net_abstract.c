// A connection to an abstract socket outside, which no file system knows (X11, old D-Bus; containerd CVE-2020-15257).
#include "escape.h"
int main(void) { unix_connect(SOCK_STREAM, env("ABSTRACT_SOCKET")); }
