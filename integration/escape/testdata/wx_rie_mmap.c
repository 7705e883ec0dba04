// personality(READ_IMPLIES_EXEC): what is mapped readable becomes executable, and no call says PROT_EXEC (systemd LockPersonality; PaX).
#include "escape.h"
int main(void)
{
	TRY(personality(READ_IMPLIES_EXEC));
	run42(written());
}
