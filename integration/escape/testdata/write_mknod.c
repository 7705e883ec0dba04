// A pipe is made outside.
#include "escape.h"
int main(void)
{
	TRY(mkfifo(join(env("OUTSIDE"), "/new"), 0700));
	escaped();
}
