// A number that no Linux has (600) must answer ENOSYS, so that programs fall back.
#include "escape.h"
int main(void)
{
	long r = syscall(600);
	if (r == -1 && errno == ENOSYS)
		(native() ? not_here : contained)("call 600");
	escaped();
}
