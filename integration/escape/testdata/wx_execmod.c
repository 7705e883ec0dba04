// Private pages of a file are written and made executable (SELinux execmod).
#include "escape.h"
int main(void)
{
	int fd = NEED(open("/proc/self/exe", O_RDONLY));
	void *p = map(RW, MAP_PRIVATE, fd);
	write42(p);
	protect(p, RX);
	run42(p);
}
