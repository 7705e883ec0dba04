// A name that was the system's own program when it was looked at: a link to it, then renamed over.
#include "escape.h"
int main(void)
{
	payload("evil");
	NEED(symlink("/bin/true", "good"));
	NEED(rename("evil", "good"));
	EXEC42("./good");
}
