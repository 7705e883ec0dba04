// truncate(2) needs no descriptor: Landlock before ABI 3.
#include "escape.h"
int main(void)
{
	TRY(truncate(env("VICTIM_FILE"), 0));
	escaped();
}
