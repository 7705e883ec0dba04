// ptrace(ATTACH) of a process outside of the same user, where Yama is not there.
#include "escape.h"
int main(void)
{
	TRY(ptrace(PTRACE_SEIZE, victim(), 0, 0)); // like ATTACH, but does not stop it
	escaped();
}
