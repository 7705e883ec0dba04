// chroot into the home directory: the path of the secret is /secret now.
#include "escape.h"
int main(void)
{
	HOST(chroot(env("SECRET_DIR")));
	see(TRY(open("/secret", O_RDONLY)));
}
