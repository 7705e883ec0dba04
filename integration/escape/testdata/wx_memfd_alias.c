// One file in memory mapped twice, writable here and executable there: JavaScriptCore's and LuaJIT's dual mapping.
#include "escape.h"
int main(void)
{
	int fd = memfd(0);
	NEED(ftruncate(fd, PAGE));
	void *w = map(RW, MAP_SHARED, fd), *x = map(RX, MAP_SHARED, fd);
	write42(w);
	run42(x);
}
