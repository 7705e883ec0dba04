// The mapped file is written by copy_file_range.
#include "escape.h"
int main(void)
{
	int from = file("from"), fd = file("f");
	put42(from), putret(fd);
	void *x = map(RX, MAP_PRIVATE, NEED(open("f", O_RDONLY)));
	loff_t in = 0, out = 0;
	HOST(copy_file_range(from, &in, fd, &out, PAGE, 0));
	run42(x);
}
