// Tells its process id, and after each line that it reads whether it can have more memory.
//
// Shows: limits that others set (prlimit) take effect at the next call.
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
	char c;
	dprintf(1, "%d\n", getpid());
	while (read(0, &c, 1) == 1) {
		int grown = brk((char *)sbrk(0) + (1 << 20));
		void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		dprintf(1, "brk=%d,mmap=%d\n", grown, p == MAP_FAILED ? -1 : 0);
	}
	return 0;
}
