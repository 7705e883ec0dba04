// setns into a namespace of a process outside.
#include "escape.h"
int main(void)
{
	int fd = HOST(open(proc(victim(), "ns/net"), O_RDONLY));
	HOST(setns(fd, 0));
	escaped();
}
