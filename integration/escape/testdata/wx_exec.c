// A written program in the current directory is executed.
#include "escape.h"
int main(void)
{
	payload("evil");
	EXEC42("./evil");
}
