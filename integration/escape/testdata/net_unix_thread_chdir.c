// A thread that has left the common current directory (unshare(CLONE_FS)): who looks at /proc/PID/cwd of the process is misled.
#include "escape.h"
static void *thread(void *arg)
{
	NEED(unshare(CLONE_FS));
	TRY(chdir(env("OUTSIDE")));
	unix_connect(SOCK_STREAM, "stream");
	return NULL;
}
int main(void)
{
	racer(thread, NULL);
	pause();
}
