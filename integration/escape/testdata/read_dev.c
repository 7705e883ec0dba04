// The disk or the memory by the nodes of /dev and /proc.
#include "escape.h"
int main(void)
{
	static const char *const names[] = {"/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/mem", "/proc/kcore"};
	char block[4096];
	for (int i = 0; i < 5; i++) {
		int fd = open(names[i], O_RDONLY);
		if (fd >= 0 && read(fd, block, sizeof block) == sizeof block)
			escaped();
	}
	(native() ? not_here : contained)("none");
}
