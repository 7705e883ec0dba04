// tgkill and tkill.
#include "escape.h"
int main(void)
{
	if (syscall(SYS_tkill, victim(), SIGUSR1) == 0)
		escaped();
	TRY(syscall(SYS_tgkill, victim(), victim(), SIGUSR1));
	escaped();
}
