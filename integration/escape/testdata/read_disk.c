// The disk itself, by a device node of one's own.
#include "escape.h"
#include <sys/sysmacros.h>
int main(void)
{
	struct stat st;
	char block[4096];
	NEED(stat("/", &st));
	HOST(mknod("disk", S_IFBLK | 0600, st.st_dev));
	int fd = HOST(open("disk", O_RDONLY));
	TRY(read(fd, block, sizeof block));
	escaped();
}
