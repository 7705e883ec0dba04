// Executable memory that was never writable is written through /proc/self/mem, which ignores protections (FOLL_FORCE).
#include "escape.h"
int main(void)
{
	void *p = map(RX, PRIV, -1);
	poke42("/proc/self/mem", p);
	run42(p);
}
