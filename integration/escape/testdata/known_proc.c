// What processes outside are, is told by /proc: their names, command lines and memory maps.
#include "escape.h"
int main(void)
{
	static const char *const names[] = {"stat", "cmdline", "maps", "environ", "io", "stack", "syscall"};
	char buf[64];
	for (int i = 0; i < 7; i++) {
		int fd = open(proc(victim(), names[i]), O_RDONLY);
		dprintf(1, "%s %s, ", names[i], fd < 0 || read(fd, buf, 64) < 0 ? strerrorname_np(errno) : "done");
	}
	return 1;
}
