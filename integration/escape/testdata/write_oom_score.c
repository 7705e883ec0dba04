// /proc/self/oom_score_adj: others are to die first.
#include "escape.h"
int main(void)
{
	TRY(write(TRY(open("/proc/self/oom_score_adj", O_WRONLY)), "0", 1));
	escaped();
}
