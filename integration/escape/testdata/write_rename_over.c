// A file of the current directory is renamed over one outside.
#include "escape.h"
int main(void)
{
	payload("evil");
	TRY(rename("evil", env("VICTIM_FILE")));
	escaped();
}
