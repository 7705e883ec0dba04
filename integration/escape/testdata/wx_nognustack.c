// A program without PT_GNU_STACK at all: the default of the ABI was once an executable stack.
#include "escape.h"
int main(void)
{
	char page[PAGE];
	if (getenv("AGAIN")) {
		unsigned char code[64] __attribute__((aligned(64)));
		write42(code);
		__asm__ volatile("" ::"r"(code) : "memory");
		return runs42(code) ? 42 : 0;
	}
	copy("/proc/self/exe", "evil");
	int fd = NEED(open("evil", O_RDWR)), status;
	NEED(pread(fd, page, PAGE, 0));
	for (int i = 0; i < *(uint16_t *)(page + 56); i++) // PT_GNU_STACK becomes PT_NULL
		if (*(uint32_t *)(page + 64 + 56 * i) == 0x6474e551)
			*(uint32_t *)(page + 64 + 56 * i) = 0;
	NEED(pwrite(fd, page, PAGE, 0));
	close(fd);
	setenv("AGAIN", "1", 1);
	pid_t pid = NEED(fork());
	if (pid == 0)
		execl("./evil", "evil", NULL), _exit(errno);
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 42)
		escaped();
	errno = 0;
	(native() ? not_here : contained)("x86-64 does not make it executable");
}
