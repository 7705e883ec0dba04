// The same by renaming the written program over its own.
#include "escape.h"
int main(int argc, char **argv)
{
	payload("evil");
	NEED(rename("evil", argv[0]));
	EXEC42(argv[0]);
}
