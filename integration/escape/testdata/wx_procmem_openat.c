// /proc/self/mem by way of a directory descriptor, a symbolic link and "..": a filter cannot read the path.
#include "escape.h"
int main(void)
{
	void *p = file_page();
	NEED(symlink("/proc/self", "me"));
	int dir = TRY(open("me/task/..", O_PATH | O_DIRECTORY)), fd = TRY(openat(dir, "mem", O_WRONLY));
	TRY(pwrite(fd, code42, sizeof code42, (off_t)p));
	run42(p);
}
