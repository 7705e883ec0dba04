// The file is mapped readable, and made executable by mprotect.
#include "escape.h"
int main(void)
{
	int fd = file("f");
	put42(fd);
	void *p = map(PROT_READ, MAP_PRIVATE, fd);
	protect(p, RX);
	run42(p);
}
