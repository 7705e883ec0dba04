// The same, statically linked: no mmap(PROT_EXEC) is ever called, the kernel itself maps it.
#include "escape.h"
int main(void)
{
	copy("payload.static", "evil");
	EXEC42("./evil");
}
