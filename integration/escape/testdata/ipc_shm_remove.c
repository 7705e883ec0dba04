// It is removed.
#include "escape.h"
int main(void) { TRY(shmctl(number("SHM_ID"), IPC_RMID, NULL)); escaped(); }
