/*
 * Maps and unmaps at random, and prints each call with its answer, after the list of its mappings
 * at the start. Without libc, so that no call was made before.
 *
 *   layout SEED
 */
#define page 4096ul

static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long ret;
	__asm__ volatile("syscall" : "=a"(ret)
		: "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return ret;
}

static char out[1 << 18];
static unsigned long used;

static void put(const char *s)
{
	while (*s)
		out[used++] = *s++;
}

static void hex(unsigned long v)
{
	char digits[17];
	int n = 16;
	digits[n] = 0;
	do
		digits[--n] = "0123456789abcdef"[v & 15];
	while (v >>= 4);
	put(digits + n);
}

static unsigned long state;

static unsigned long below(unsigned long n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % n;
}

/* mapped are the ranges that the calls made, some of them unmapped again in part. */
static struct { unsigned long start, length; } mapped[400];
static unsigned int count;

static void line(const char *what, unsigned long addr, unsigned long length, unsigned long flags, long ret)
{
	put(what);
	put(" ");
	hex(addr);
	put(" ");
	hex(length);
	put(" ");
	hex(flags);
	put(" ");
	hex(ret);
	put("\n");
}

static void map(void)
{
	unsigned long addr = 0, length = (1 + below(12)) * page, flags = 0x22;
	if (count && below(4) == 0) {
		addr = mapped[below(count)].start + below(8) * page;
		if (below(2))
			flags |= 0x10; /* MAP_FIXED */
	}
	if (below(40) == 0)
		length = 2ul << 20; /* is not aligned */
	if (below(60) == 0)
		length = 1ul << 47; /* cannot be had */
	long ret = call(9, addr, length, below(2) ? 3 : 0, flags, -1, 0);
	line("mmap", addr, length, flags, ret);
	if ((ret > 0 || ret < -4095) && count < sizeof mapped / sizeof mapped[0]) {
		mapped[count].start = ret;
		mapped[count++].length = length;
	}
}

static void unmap(void)
{
	if (!count)
		return;
	unsigned long i = below(count), at = below(4) ? 0 : below(4) * page;
	unsigned long addr = mapped[i].start + at, length = below(3) ? mapped[i].length : (1 + below(3)) * page;
	line("munmap", addr, length, 0, call(11, addr, length, 0, 0, 0, 0));
	mapped[i] = mapped[--count];
}

__attribute__((used)) static void run(long *stack)
{
	const char *seed = (const char *)stack[2];
	for (state = 88172645463325252; *seed; seed++)
		state = state * 31 + *seed;
	long fd = call(2, (long)"/proc/self/maps", 0, 0, 0, 0, 0), n;
	while ((n = call(0, fd, (long)(out + used), sizeof out - used, 0, 0, 0)) > 0)
		used += n;
	for (int i = 0; i < 1500; i++)
		below(5) < 3 ? map() : unmap();
	for (unsigned long at = 0; at < used; at += n)
		if ((n = call(1, 1, (long)(out + at), used - at, 0, 0, 0)) <= 0)
			break;
	call(231, 0, 0, 0, 0, 0, 0);
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall run\n");
