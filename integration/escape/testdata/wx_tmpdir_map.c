// A file in $TMPDIR is mapped executable: libffi's and many a JIT's fallback.
#include "escape.h"
int main(void)
{
	int fd = file(join(env("TMPDIR"), "/f"));
	put42(fd);
	run42(map(RX, MAP_PRIVATE, fd));
}
