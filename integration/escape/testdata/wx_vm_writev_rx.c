// process_vm_writev to executable pages of a child: Linux respects the protection there.
#include "escape.h"
int main(void)
{
	void *p = map(RX, PRIV, -1);
	struct iovec from = {(void *)code42, sizeof code42}, to = {p, sizeof code42};
	pid_t pid = NEED(fork());
	if (pid == 0)
		pause();
	ssize_t n = process_vm_writev(pid, &from, 1, &to, 1, 0);
	int e = errno;
	kill(pid, SIGKILL);
	errno = e;
	HOST(n);
	escaped();
}
