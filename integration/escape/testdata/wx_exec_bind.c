// A bind mount puts the written file over /usr/bin/true, in a mount namespace of its own.
#include "escape.h"
int main(void)
{
	copy("payload.static", "evil");
	namespaces(CLONE_NEWNS);
	TRY(mount("evil", "/usr/bin/true", NULL, MS_BIND, NULL));
	EXEC42("/usr/bin/true");
}
