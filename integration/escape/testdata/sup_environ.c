// The supervisor's environment, with what the caller did not want to hand on.
#include "escape.h"
int main(void)
{
	char buf[16];
	TRY(read(TRY(open(proc(supervisor(), "environ"), O_RDONLY)), buf, sizeof buf));
	escaped();
}
