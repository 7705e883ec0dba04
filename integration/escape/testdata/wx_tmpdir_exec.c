// A program is written to $TMPDIR and executed: what droppers do.
#include "escape.h"
int main(void)
{
	char *path = join(env("TMPDIR"), "/evil");
	payload(path);
	EXEC42(path);
}
