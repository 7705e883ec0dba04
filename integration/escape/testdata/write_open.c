// A file outside of the current directory is written.
#include "escape.h"
int main(void)
{
	TRY(write(TRY(open(env("VICTIM_FILE"), O_WRONLY)), "hit", 3));
	escaped();
}
