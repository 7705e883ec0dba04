// A new tmpfs, where nobody has said anything about writing and executing.
#include "escape.h"
int main(void)
{
	namespaces(CLONE_NEWNS);
	TRY(mount("none", "/usr/local", "tmpfs", 0, NULL));
	copy("payload.static", "/usr/local/evil");
	EXEC42("/usr/local/evil");
}
