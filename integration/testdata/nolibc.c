// A program without any library: its own _start, system calls by hand. -static -nostdlib.
//
// Shows: an address space with nothing in it but the image, the stack and the vdso.
static long call(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
}

__attribute__((force_align_arg_pointer, used)) void _start(void)
{
	static const char text[] = "no library\n";
	char *p = (char *)call(9, 0, 8192, 3, 0x22, -1, 0); // mmap
	for (unsigned i = 0; i < sizeof text - 1; i++)
		p[i] = text[i];
	call(1, 1, (long)p, sizeof text - 1, 0, 0, 0); // write
	long low = call(12, 0, 0, 0, 0, 0, 0);	       // brk
	long grown = call(12, low + 100000, 0, 0, 0, 0, 0);
	*(char *)(grown - 1) = 1;
	long r = call(11, (long)p, 4096, 0, 0, 0, 0); // munmap
	r |= call(10, (long)p + 4096, 4096, 1, 0, 0, 0); // mprotect
	call(231, r == 0 && grown == low + 100000 ? 13 : 1, 0, 0, 0, 0, 0); // exit_group
	for (;;)
		;
}
