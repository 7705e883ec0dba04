// A shell of the system executes it.
#include "escape.h"
int main(void)
{
	payload("evil");
	EXEC42("/bin/sh", "-c", "./evil; exit $?");
}
