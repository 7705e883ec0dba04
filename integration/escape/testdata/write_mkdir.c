// A directory is made outside.
#include "escape.h"
int main(void)
{
	TRY(mkdir(join(env("OUTSIDE"), "/new"), 0700));
	escaped();
}
