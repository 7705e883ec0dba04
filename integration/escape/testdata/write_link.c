// A file of the current directory gets a name outside (Landlock before ABI 2 could not allow it, and then allowed too much).
#include "escape.h"
int main(void)
{
	payload("evil");
	TRY(link("evil", join(env("OUTSIDE"), "/new")));
	escaped();
}
