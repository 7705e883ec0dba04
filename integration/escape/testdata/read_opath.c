// An O_PATH descriptor, which needs no permission to read, is reopened through /proc/self/fd.
#include "escape.h"
int main(void)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", TRY(open(env("SECRET"), O_PATH)));
	see(TRY(open(path, O_RDONLY)));
}
