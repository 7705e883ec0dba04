// A million open files.
#include "escape.h"
int main(void)
{
	struct rlimit l = {1000000, 1000000};
	HOST(setrlimit(RLIMIT_NOFILE, &l));
	HOST(dup2(1, 999999));
	escaped();
}
