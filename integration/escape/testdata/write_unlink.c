// A file outside is removed.
#include "escape.h"
int main(void)
{
	TRY(unlink(env("VICTIM_FILE")));
	escaped();
}
