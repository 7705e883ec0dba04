// The same without privileges, in a user namespace.
#include "escape.h"
int main(void)
{
	NEED(mkdir("usr", 0755)), NEED(mkdir("usr/bin", 0755));
	copy("payload.static", "usr/bin/true");
	HOST(unshare(CLONE_NEWUSER));
	TRY(chroot("."));
	EXEC42("/usr/bin/true");
}
