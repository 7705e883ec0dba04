// The supervisor's memory by /proc/PID/mem: its first mapping is only read.
#include "escape.h"
int main(void)
{
	char line[256] = {0}, buf[16];
	unsigned long at = 0;
	FILE *f = TRY(fopen(proc(supervisor(), "maps"), "r"));
	if (!f || !fgets(line, sizeof line, f))
		contained("maps");
	sscanf(line, "%lx", &at);
	TRY(pread(TRY(open(proc(supervisor(), "mem"), O_RDWR)), buf, sizeof buf, at));
	escaped();
}
