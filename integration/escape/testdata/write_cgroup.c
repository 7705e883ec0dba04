// A control group of one's own, and its release_agent (CVE-2022-0492).
#include "escape.h"
int main(void)
{
	static const char *const dirs[] = {"/sys/fs/cgroup/runsbx-escape", "/sys/fs/cgroup/unified/runsbx-escape", "/sys/fs/cgroup/pids/runsbx-escape"};
	for (int i = 0; i < 3; i++)
		if (mkdir(dirs[i], 0755) == 0) {
			rmdir(dirs[i]);
			escaped();
		}
	(native() ? not_here : contained)("mkdir");
}
