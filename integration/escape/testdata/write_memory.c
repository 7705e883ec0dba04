// The memory of a process outside is written by /proc/PID/mem.
#include "escape.h"
int main(void)
{
	int fd = TRY(open(proc(victim(), "mem"), O_RDWR));
	TRY(pwrite(fd, "hit", 3, atol(env("MAGIC_ADDRESS"))));
	escaped();
}
