/*
 * The guest of the differential test: makes the calls that come in on standard input, seven
 * words each, and answers each with its raw return value. It has no libc and never allocates, so
 * that its address space changes by those calls alone.
 *
 * Started with an argument, it is laid out bottom-up.
 */
typedef unsigned long word;

/* Numbers that are no system calls; own_test.go has the same ones. */
#define POKE (1ul << 20)        /* write the second argument at the first */
#define TOUCH ((1ul << 20) + 1) /* read a byte at the first argument, or write it back if the second is set */
#define FORK ((1ul << 20) + 2)  /* go on in the child if the first argument is set, and stop the other */
#define SWITCH ((1ul << 20) + 3) /* let the process in the first argument go on, and stop */

#define ADDR_NO_RANDOMIZE 0x0040000
#define ADDR_COMPAT_LAYOUT 0x0200000

/*
 * One aligned block holds everything that is written, so that the heap, which begins behind it,
 * begins at the same place however this file changes.
 */
static struct {
	word scratch[512];
	char sigstack[16384];
} own __attribute__((aligned(1 << 20)));

static word call(word nr, word a, word b, word c, word d, word e, word f)
{
	register word r10 __asm__("r10") = d;
	register word r8 __asm__("r8") = e;
	register word r9 __asm__("r9") = f;
	word ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static void answer(word w)
{
	call(1, 1, (word)&w, sizeof w, 0, 0, 0);
}

/*
 * touch_read and touch_write access the byte at their argument and return 0. When that is answered
 * by a signal, its handler makes them return signal << 8 | code: it finds rax in the context and
 * puts the instruction pointer to touch_end.
 */
word touch_read(word addr);
word touch_write(word addr);
void touch_end(void);
void handler(int sig, int *info, word *context);
void restorer(void);

__asm__("touch_read:\n\tmovb (%rdi), %al\n\txor %eax, %eax\n\tret\n"
	"touch_write:\n\torb $0, (%rdi)\n\txor %eax, %eax\n"
	"touch_end:\n\tret\n"
	"restorer:\n\tmov $15, %eax\n\tsyscall\n");

void handler(int sig, int *info, word *context)
{
	/* struct ucontext: flags, link, stack (3 words), r8 ... r15, di, si, bp, bx, dx, ax, cx, sp, ip */
	context[5 + 13] = (word)(sig << 8 | info[2]);
	context[5 + 16] = (word)touch_end;
}

static void catch(void)
{
	struct { word handler, flags, restorer, mask; } act = { (word)handler, 0x4 | 0x04000000 | 0x08000000 | 0x40000000, (word)restorer, 0 };
	struct { word sp; int flags; word size; } alt = { (word)own.sigstack, 0, sizeof own.sigstack };
	struct { word handler, flags, restorer, mask; } ignore = { 1, 0, 0, 0 };

	call(131, (word)&alt, 0, 0, 0, 0, 0);
	call(13, 11, (word)&act, 0, 8, 0, 0);    /* SIGSEGV */
	call(13, 7, (word)&act, 0, 8, 0, 0);     /* SIGBUS */
	call(13, 17, (word)&ignore, 0, 8, 0, 0); /* SIGCHLD: children leave no zombies */
}

static void stop(void)
{
	call(62, call(39, 0, 0, 0, 0, 0, 0), 19, 0, 0, 0, 0); /* kill(getpid(), SIGSTOP) */
}

static word split(word in_child)
{
	word child = call(57, 0, 0, 0, 0, 0, 0);

	if ((long)child < 0)
		return child;
	if ((child == 0) != (in_child != 0)) {
		stop();
		return 0; /* to whom it was that switched */
	}
	return child ? child : call(39, 0, 0, 0, 0, 0, 0);
}

void run(word *stack)
{
	word w[7], n, got;
	word want = ADDR_NO_RANDOMIZE | (stack[0] > 1 ? ADDR_COMPAT_LAYOUT : 0);
	word persona = call(135, 0xffffffff, 0, 0, 0, 0, 0);

	if ((persona & want) != want) {
		call(135, persona | want, 0, 0, 0, 0, 0);
		call(59, (word) "/proc/self/exe", (word)(stack + 1), (word)(stack + 2 + stack[0]), 0, 0, 0);
		call(231, 1, 0, 0, 0, 0, 0);
	}
	catch();
	*(volatile word *)own.scratch = 0; /* what can be written was written, before the run begins */
	answer((word)own.scratch);
	for (;;) {
		for (n = 0; n < sizeof w; n += got) {
			got = call(0, 0, (word)w + n, sizeof w - n, 0, 0, 0);
			if ((long)got <= 0)
				call(231, 0, 0, 0, 0, 0, 0);
		}
		switch (w[0]) {
		case POKE:
			*(volatile word *)w[1] = w[2];
			answer(0);
			break;
		case TOUCH:
			answer(w[2] ? touch_write(w[1]) : touch_read(w[1]));
			break;
		case FORK:
			answer(split(w[1]));
			break;
		case SWITCH:
			call(62, w[1], 18, 0, 0, 0, 0); /* SIGCONT */
			stop();
			answer(0);
			break;
		default:
			answer(call(w[0], w[1], w[2], w[3], w[4], w[5], w[6]));
		}
	}
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall run\n");
