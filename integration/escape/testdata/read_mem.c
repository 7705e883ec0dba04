// The memory of a process outside, by /proc/PID/mem.
#include "escape.h"
int main(void)
{
	char buf[13];
	int fd = TRY(open(proc(victim(), "mem"), O_RDONLY));
	TRY(pread(fd, buf, 13, atol(env("MAGIC_ADDRESS"))));
	if (memcmp(buf, "RUNSBX-SECRET", 13) == 0)
		escaped();
	contained("something else");
}
