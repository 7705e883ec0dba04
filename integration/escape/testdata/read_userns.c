// A user namespace gives all capabilities over files that the user owns; permissions of modes are gone.
#include "escape.h"
int main(void)
{
	namespaces(CLONE_NEWUSER);
	see(TRY(open(env("SECRET"), O_RDONLY)));
}
