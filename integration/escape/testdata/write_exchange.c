// renameat2(RENAME_EXCHANGE) puts a file outside and takes one in.
#include "escape.h"
int main(void)
{
	payload("evil");
	TRY(renameat2(AT_FDCWD, "evil", AT_FDCWD, env("VICTIM_FILE"), RENAME_EXCHANGE));
	escaped();
}
