// A queue of one's own is made where others may find it.
#include "escape.h"
#include <mqueue.h>
int main(void)
{
	TRY(mq_open("/runsbx-escape", O_RDWR | O_CREAT, 0600, NULL));
	mq_unlink("/runsbx-escape");
	escaped();
}
