// By openat2, which old filters do not know.
#include "escape.h"
#include <linux/openat2.h>
int main(void)
{
	struct open_how how = {.flags = O_RDONLY};
	see(TRY(syscall(SYS_openat2, AT_FDCWD, env("SECRET"), &how, sizeof how)));
}
