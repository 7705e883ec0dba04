// The receive ring of a packet socket is mapped executable.
#include "escape.h"
#include <linux/if_packet.h>
int main(void)
{
	int s = HOST(socket(AF_PACKET, SOCK_RAW, 0));
	struct tpacket_req r = {PAGE, 1, PAGE, 1};
	TRY(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &r, sizeof r));
	void *w = TRY(mmap(NULL, PAGE, RW, MAP_SHARED, s, 0)), *x = HOST(mmap(NULL, PAGE, RX, MAP_SHARED, s, 0));
	write42(w);
	run42(x);
}
