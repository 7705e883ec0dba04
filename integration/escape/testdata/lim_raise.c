// A limit is raised above its hard limit (CAP_SYS_RESOURCE).
#include "escape.h"
int main(void)
{
	struct rlimit l;
	NEED(getrlimit(RLIMIT_NOFILE, &l));
	l.rlim_cur = ++l.rlim_max;
	HOST(setrlimit(RLIMIT_NOFILE, &l));
	escaped();
}
