// A message is put into it.
#include "escape.h"
#include <sys/msg.h>
int main(void)
{
	struct { long t; char b[3]; } m = {1, "hit"};
	TRY(msgsnd(number("MSG_ID"), &m, 3, IPC_NOWAIT));
	escaped();
}
