// The queue is removed.
#include "escape.h"
#include <mqueue.h>
int main(void) { TRY(mq_unlink(env("MQ_NAME"))); escaped(); }
