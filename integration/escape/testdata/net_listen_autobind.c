// listen without bind gets a port by itself: Landlock's bind_tcp does not see it (landlock-lsm/linux #15).
#include "escape.h"
#include <netinet/in.h>
int main(void)
{
	TRY(listen(TRY(socket(AF_INET, SOCK_STREAM, 0)), 1));
	escaped();
}
