// Executed by the name of a hard link in another directory.
#include "escape.h"
int main(void)
{
	payload("evil");
	NEED(mkdir("bin", 0755));
	NEED(link("evil", "bin/true"));
	EXEC42("bin/true");
}
