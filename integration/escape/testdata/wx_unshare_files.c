// A thread with descriptors of its own (unshare(CLONE_FILES)): who looks at /proc/PID/fd of the process sees a system library.
#include "escape.h"
static int fd;
static void *thread(void *arg)
{
	NEED(unshare(CLONE_FILES));
	int mem = memfd(0);
	put42(mem);
	NEED(dup2(mem, fd));
	run42(map(RX, MAP_PRIVATE, fd));
	return NULL;
}
int main(void)
{
	fd = NEED(open("/lib64/ld-linux-x86-64.so.2", O_RDONLY));
	racer(thread, NULL);
	pause();
}
