// A file outside that may be read can be locked against its owner (flock), and watched (inotify).
#include "escape.h"
#include <sys/file.h>
#include <sys/inotify.h>
int main(void)
{
	int fd = open("/etc/passwd", O_RDONLY);
	dprintf(1, "flock %s, ", flock(fd, LOCK_EX | LOCK_NB) ? strerrorname_np(errno) : "done");
	dprintf(1, "inotify %s\n", inotify_add_watch(inotify_init(), env("OUTSIDE"), IN_ALL_EVENTS) < 0 ? strerrorname_np(errno) : "done");
	return 1;
}
