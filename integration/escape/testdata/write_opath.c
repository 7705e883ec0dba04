// A file outside is opened with O_PATH, and reopened for writing through /proc/self/fd.
#include "escape.h"
int main(void)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", TRY(open(env("VICTIM_FILE"), O_PATH)));
	TRY(write(TRY(open(path, O_WRONLY)), "hit", 3));
	escaped();
}
