// A written library is preloaded into a program of the system (LD_PRELOAD).
#include "escape.h"
int main(void)
{
	copy("payload.so", "evil.so");
	setenv("LD_PRELOAD", "./evil.so", 1);
	EXEC42("/usr/bin/id");
}
