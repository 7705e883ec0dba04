// mount_setattr on a directory that is no mount.
#include "escape.h"
int main(void) { reached(syscall(SYS_mount_setattr, AT_FDCWD, ".", 0, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16L)); }
