// The vDSO is no file and not anonymous: it is made writable, changed and called.
#include "escape.h"
int main(void)
{
	char line[256];
	unsigned long from = 0, to = 0;
	FILE *f = NEED(fopen("/proc/self/maps", "r"));
	while (fgets(line, sizeof line, f))
		if (strstr(line, "[vdso]"))
			sscanf(line, "%lx-%lx", &from, &to);
	void *p = (void *)from; // it cannot be split
	TRY(mprotect(p, to - from, RW));
	write42(p);
	TRY(mprotect(p, to - from, RX));
	run42(p);
}
