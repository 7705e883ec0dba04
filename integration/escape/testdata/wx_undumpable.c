// PR_SET_DUMPABLE takes /proc/PID away from a supervisor without privileges: it cannot see what is mapped any more.
#include "escape.h"
int main(void)
{
	NEED(prctl(PR_SET_DUMPABLE, 0));
	int fd = file("f");
	put42(fd);
	run42(map(RX, MAP_PRIVATE, fd));
}
