// The same by /proc/sysvipc/shm.
#include "escape.h"
int main(void)
{
	char line[256];
	int id;
	FILE *f = fopen("/proc/sysvipc/shm", "r");
	if (!f)
		contained("open");
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "%*d %d", &id) == 1 && id == number("SHM_ID"))
			escaped();
	errno = 0, contained("not in it");
}
