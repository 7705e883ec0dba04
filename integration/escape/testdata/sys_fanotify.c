// fanotify: what everybody opens, as descriptors.
#include "escape.h"
int main(void) { HOST(syscall(SYS_fanotify_init, 0, O_RDONLY)); escaped(); }
