// One's own socket has the name of the abstract one outside, for another kind of connection. The kernel lists sockets
// by their place in a chain: that outside is passed over when others before it go away meanwhile.
#include "escape.h"
enum { CHAIN = 3000 };
static struct sockaddr_un name;
static int length, first, last;
static volatile int delay, closing;
static void *closer(void *arg)
{
	for (;;) {
		while (!closing)
			;
		usleep(delay);
		close_range(first, last, 0);
		closing = 0;
	}
	return NULL;
}
// The i-th name of a chain: the kernel's hash is the sum of all pairs of bytes, and the last two pairs are changed.
static void chained(int i)
{
	struct sockaddr_un a = name;
	char *end = (char *)&a + (length & -2);
	uint16_t pairs[2];
	memcpy(pairs, end - 4, 4);
	pairs[0] += i, pairs[1] -= i;
	memcpy(end - 4, pairs, 4);
	last = NEED(socket(AF_UNIX, SOCK_STREAM, 0));
	bind(last, (struct sockaddr *)&a, length);
	if (!first)
		first = last;
}
int main(void)
{
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	int n = files.rlim_cur < CHAIN + 100 ? files.rlim_cur - 100 : CHAIN;
	length = unix_address(&name, env("ABSTRACT_SOCKET"));
	int own = TRY(socket(AF_UNIX, SOCK_SEQPACKET, 0));
	NEED(bind(own, (struct sockaddr *)&name, length));
	NEED(listen(own, 1));
	racer(closer, NULL);
	for (int i = 0; i < 12; i++) {
		int s = TRY(socket(AF_UNIX, SOCK_STREAM, 0));
		first = 0;
		for (int j = 1; j <= n; j++)
			chained(j);
		delay = i * 997 % 8000, closing = 1;
		if (connect(s, (struct sockaddr *)&name, length) == 0 && write(s, "hit", 3) == 3)
			escaped();
		while (closing)
			;
		close(s);
	}
	contained("every round");
}
