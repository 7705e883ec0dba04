// A forged signal frame (sigreturn-oriented programming) makes the call with chosen registers, out of the vDSO's or libc's own syscall instruction.
#include "escape.h"
static void *page;
static void handler(int sig, siginfo_t *si, void *context)
{
	greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	unsigned char *s = (unsigned char *)syscall;
	while (s[0] != 0x0f || s[1] != 0x05)
		s++;
	g[REG_RIP] = (greg_t)s, g[REG_RAX] = SYS_mprotect;
	g[REG_RDI] = (greg_t)page, g[REG_RSI] = PAGE, g[REG_RDX] = RX;
}
int main(void)
{
	page = written();
	sigaction(SIGUSR1, &(struct sigaction){.sa_sigaction = handler, .sa_flags = SA_SIGINFO}, NULL);
	syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1); // returns with the answer of the other call
	run42(page);
}
