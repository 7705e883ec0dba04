// The program replaces its own executable, whose path may be executed, by unlinking and creating it anew.
#include "escape.h"
int main(int argc, char **argv)
{
	NEED(unlink(argv[0]));
	payload(argv[0]);
	EXEC42(argv[0]);
}
