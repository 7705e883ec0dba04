// A new tmpfs, where nobody has said anything about writing and executing.
#include "escape.h"
int main(void)
{
	HOST(unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS));
	TRY(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	TRY(mount("none", "/usr/local", "tmpfs", 0, NULL));
	copy("payload.static", "/usr/local/evil");
	EXEC42("/usr/local/evil");
}
