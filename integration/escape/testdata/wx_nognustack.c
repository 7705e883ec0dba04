// A program without PT_GNU_STACK at all: the default of the ABI was once an executable stack.
#include "escape.h"
int main(void)
{
	int fd = NEED(open("evil", O_RDWR | O_CREAT, 0755));
	char *exe = "/proc/self/exe", page[PAGE];
	if (getenv("AGAIN")) {
		unsigned char code[64] __attribute__((aligned(64)));
		write42(code);
		__asm__ volatile("" ::"r"(code) : "memory");
		exit(runs42(code) ? 42 : 0);
	}
	copy(exe, "evil");
	NEED(pread(fd, page, PAGE, 0));
	uint16_t n = *(uint16_t *)(page + 56);
	for (int i = 0; i < n; i++) // PT_GNU_STACK becomes PT_NULL
		if (*(uint32_t *)(page + 64 + 56 * i) == 0x6474e551)
			*(uint32_t *)(page + 64 + 56 * i) = 0;
	NEED(pwrite(fd, page, PAGE, 0));
	close(fd);
	setenv("AGAIN", "1", 1);
	int status;
	pid_t pid = NEED(fork());
	if (pid == 0)
		execl("./evil", "evil", NULL), _exit(errno);
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 42)
		escaped();
	(native() ? not_here : contained)("x86-64 does not make it executable");
}
