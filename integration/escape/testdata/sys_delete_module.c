// delete_module of one that there is not.
#include "escape.h"
int main(void) { reached(syscall(SYS_delete_module, "runsbx_none", O_NONBLOCK)); }
