// The same with RLIMIT_DATA and mprotect, at once, and by way of a library's private pages that nobody has seen written.
#include "escape.h"
int main(void)
{
	int fd = NEED(open("/proc/self/exe", O_RDONLY));
	void *p = map(PROT_READ, PRIV, -1), *code = map(PROT_READ, MAP_PRIVATE, fd);
	pid_t pid = NEED(fork());
	if (!pid)
		toggle_limit(RLIMIT_DATA);
	for (int i = 0; i < rounds(); i++) {
		if (mprotect(p, PAGE, RWX) == 0) {
			kill(pid, SIGKILL);
			write42(p), run42(p);
		}
		if (mprotect(code, PAGE, RW) == 0) {
			write42(code);
			if (mprotect(code, PAGE, RX) == 0) {
				kill(pid, SIGKILL);
				run42(code);
			}
			munmap(code, PAGE); // or there were one more for every round
			code = map(PROT_READ, MAP_PRIVATE, fd);
		}
	}
	kill(pid, SIGKILL);
	errno = EAGAIN, contained("every round");
}
