// The home directory is bind-mounted into the current one.
#include "escape.h"
int main(void)
{
	namespaces(CLONE_NEWNS);
	NEED(mkdir("m", 0755));
	TRY(mount(env("SECRET_DIR"), "m", NULL, MS_BIND, NULL));
	see(TRY(open("m/secret", O_RDONLY)));
}
