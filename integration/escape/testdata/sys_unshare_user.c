// A user namespace: all capabilities over much of the kernel (CVE-2022-0185, CVE-2023-32233).
#include "escape.h"
int main(void) { HOST(unshare(CLONE_NEWUSER)); escaped(); }
