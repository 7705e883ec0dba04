// A bind mount puts the written file over /usr/bin/true, in a mount namespace of its own.
#include "escape.h"
int main(void)
{
	copy("payload.static", "evil");
	HOST(unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS));
	TRY(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	TRY(mount("evil", "/usr/bin/true", NULL, MS_BIND, NULL));
	EXEC42("/usr/bin/true");
}
