// The program's own file, executable by rule, is reopened for writing after it was mapped executable a second time.
#include "escape.h"
int main(int argc, char **argv)
{
	NEED(rename(argv[0], "moved"));
	copy("moved", argv[0]);
	int fd = TRY(open(argv[0], O_RDWR));
	void *x = map(RX, MAP_PRIVATE, fd);
	put42(fd);
	run42(x);
}
