// modify_ldt makes 16-bit and call-gate-like segments (CVE-2017-17053).
#include "escape.h"
int main(void)
{
	char buf[64];
	HOST(syscall(SYS_modify_ldt, 0, buf, sizeof buf));
	escaped();
}
