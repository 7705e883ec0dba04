// Memory mapped writable and executable at once: what every simple JIT and shellcode loader does (PaX MPROTECT's first rule).
#include "escape.h"
int main(void)
{
	void *p = map(RWX, PRIV, -1);
	write42(p);
	run42(p);
}
