// The program's data segment is made executable.
#include "escape.h"
static unsigned char data[2 * PAGE] __attribute__((aligned(4096)));
int main(void)
{
	write42(data);
	protect(data, RX);
	run42(data);
}
