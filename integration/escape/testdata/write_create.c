// A file is created outside.
#include "escape.h"
int main(void)
{
	TRY(open(join(env("OUTSIDE"), "/new"), O_WRONLY | O_CREAT, 0600));
	escaped();
}
