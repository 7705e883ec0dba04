// Touching pages. A fault is caught, and told with its signal, code and address.
#pragma once
#include "maps.h"

struct touched {
	long value; // the byte, or -(signal<<8 | code)
	u64 addr;   // of the fault
};
struct touched fz_load(u64 addr);
struct touched fz_store(u64 addr, long byte);
extern char fz_load_insn[], fz_store_insn[], fz_fault[];
__asm__(".text\n"
	"fz_load:\n xor %edx, %edx\nfz_load_insn:\n movzbl (%rdi), %eax\n ret\n"
	"fz_store:\n xor %edx, %edx\n mov %rsi, %rax\nfz_store_insn:\n movb %sil, (%rdi)\n"
	"fz_fault:\n ret\n");

static void onFault(int sig, siginfo_t *si, void *u)
{
	greg_t *g = ((ucontext_t *)u)->uc_mcontext.gregs;
	u64 ip = g[REG_RIP];
	if (ip == (u64)fz_load_insn || ip == (u64)fz_store_insn) {
		g[REG_RIP] = (u64)fz_fault;
		g[REG_RAX] = -(long)(sig << 8 | (si->si_code & 0xff));
		g[REG_RDX] = (u64)si->si_addr;
		return;
	}
	char b[128];
	struct out o = {b, 0, sizeof b};
	str(&o, "crash: signal ");
	dec(&o, sig);
	str(&o, " at ");
	hex(&o, ip);
	str(&o, " address ");
	hex(&o, (u64)si->si_addr);
	str(&o, "\n");
	flush(&o);
	CALL(SYS_exit_group, 99);
}

static void catchFaults(void *stack, size_t size)
{
	stack_t ss = {.ss_sp = stack, .ss_size = size};
	CALL(SYS_sigaltstack, &ss, NULL);
	struct sigaction sa = {.sa_sigaction = onFault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

static void touch(struct ctx *c, u64 addr, int write)
{
	struct touched t = write ? fz_store(addr, c->at & 0xff) : fz_load(addr);
	dec(c->out, c->at);
	str(c->out, write ? " write(" : " read(");
	hex(c->out, addr);
	str(c->out, ") = ");
	if (t.value < 0) {
		str(c->out, "signal ");
		dec(c->out, -t.value >> 8);
		str(c->out, " code ");
		dec(c->out, -t.value & 0xff);
		str(c->out, " address ");
		hex(c->out, t.addr);
	} else if (has('X')) {
		str(c->out, "ok"); // other threads write to the same files at the same time
	} else {
		dec(c->out, t.value);
	}
	endLine(c);
}
