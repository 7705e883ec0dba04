// READ_IMPLIES_EXEC kept over an execve of oneself (x86-64 clears it for programs with PT_GNU_STACK).
#include "escape.h"
int main(int argc, char **argv)
{
	if (argc == 1) {
		TRY(personality(READ_IMPLIES_EXEC));
		execl("/proc/self/exe", argv[0], "again", NULL);
		contained("execve");
	}
	if (!(personality(0xffffffff) & READ_IMPLIES_EXEC))
		(native() ? not_here : contained)("execve clears it");
	run42(written());
}
