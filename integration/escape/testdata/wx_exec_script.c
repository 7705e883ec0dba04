// A script whose interpreter is the written program: the file that is executed is text.
#include "escape.h"
int main(void)
{
	payload("evil");
	int fd = file("script");
	dprintf(fd, "#!./evil\n");
	close(fd);
	EXEC42("./script");
}
