// The same by the path /proc/self/fd/N.
#include "escape.h"
int main(void)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", memfd(0));
	payload(path);
	int fd = TRY(open(path, O_RDONLY)); // the writer must go first: ETXTBSY
	close(fd - 1);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	EXEC42(path);
}
