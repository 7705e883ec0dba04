// userfaultfd stops the kernel in the middle of a copy: the tool of race exploits (CVE-2016-6187).
#include "escape.h"
int main(void) { HOST(syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* USER_MODE_ONLY */)); escaped(); }
