// Flags that mean nothing (MAP_DENYWRITE, MAP_EXECUTABLE, MAP_STACK, unknown bits) with a protection that has unknown bits.
#include "escape.h"
int main(void)
{
	void *p = mmap(NULL, PAGE, RWX | 0x40, PRIV | MAP_DENYWRITE | MAP_EXECUTABLE | MAP_STACK | MAP_NORESERVE | MAP_POPULATE | 1 << 30, -1, 0);
	TRY(p);
	write42(p);
	run42(p);
}
