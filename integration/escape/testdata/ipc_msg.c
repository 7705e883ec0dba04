// A message is taken out of a queue outside.
#include "escape.h"
#include <sys/msg.h>
int main(void)
{
	struct { long t; char b[64]; } m;
	TRY(msgrcv(number("MSG_ID"), &m, 64, 0, IPC_NOWAIT));
	if (strncmp(m.b, "RUNSBX-SECRET", 13) == 0)
		escaped();
	contained("something else");
}
