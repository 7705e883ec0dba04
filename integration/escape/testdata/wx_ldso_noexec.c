// The same with a file that has no execute permission at all.
#include "escape.h"
int main(void)
{
	payload("evil");
	NEED(chmod("evil", 0444));
	EXEC42("/lib64/ld-linux-x86-64.so.2", "./evil");
}
