// A message is put into a POSIX message queue outside, which is not in the file system that rules are about.
#include "escape.h"
#include <mqueue.h>
int main(void)
{
	mqd_t q = TRY(mq_open(env("MQ_NAME"), O_WRONLY | O_NONBLOCK));
	TRY(mq_send(q, "hit", 3, 0));
	escaped();
}
