// The supervisor is made the first to be killed when memory is short: opened only.
#include "escape.h"
int main(void)
{
	TRY(open(proc(supervisor(), "oom_score_adj"), O_WRONLY));
	escaped();
}
