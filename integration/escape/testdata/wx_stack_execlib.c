// dlopen of a library that is marked as needing an executable stack: glibc before 2.41 makes every stack executable for it.
#include "escape.h"
int main(void)
{
	char page[PAGE];
	copy("payload.so", "evil.so");
	int fd = NEED(open("evil.so", O_RDWR));
	NEED(pread(fd, page, PAGE, 0));
	for (int i = 0; i < *(uint16_t *)(page + 56); i++)
		if (*(uint32_t *)(page + 64 + 56 * i) == 0x6474e551)
			*(uint32_t *)(page + 68 + 56 * i) = 7;
	NEED(pwrite(fd, page, PAGE, 0));
	if (!dlopen("./evil.so", RTLD_NOW))
		errno = EACCES, contained("dlopen");
	unsigned char code[64] __attribute__((aligned(64)));
	write42(code);
	__asm__ volatile("" ::"r"(code) : "memory");
	run42(code);
}
