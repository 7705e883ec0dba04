// 64 MiB of locked memory, which cannot be paged out.
#include "escape.h"
int main(void)
{
	void *p = TRY(mmap(NULL, 64 << 20, RW, PRIV, -1, 0));
	HOST(mlock(p, 64 << 20));
	escaped();
}
