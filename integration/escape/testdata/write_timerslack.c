// /proc/PID/timerslack_ns of a process outside: one of the files by which other processes are changed.
#include "escape.h"
int main(void)
{
	int fd = TRY(open(proc(victim(), "timerslack_ns"), O_WRONLY));
	HOST(write(fd, "60000", 5));
	escaped();
}
