// The interpreter (PT_INTERP) of a program is a written file, which the kernel maps and enters.
#include "escape.h"
static char buf[1 << 20];
int main(void)
{
	static const char code[] = "\xbf\x2a\0\0\0\xb8\x3c\0\0\0\x0f\x05"; // exit(42)
	copy("/lib64/ld-linux-x86-64.so.2", "ld.so");
	int fd = NEED(open("ld.so", O_RDWR));
	NEED(pread(fd, buf, sizeof buf, 0));
	NEED(pwrite(fd, code, sizeof code - 1, *(uint64_t *)(buf + 24))); // at its entry
	close(fd);
	payload("evil");
	fd = NEED(open("evil", O_RDWR));
	char *at = memmem(buf, NEED(pread(fd, buf, sizeof buf, 0)), "/lib64/ld-linux-x86-64.so.2", 27);
	if (!at)
		not_here("no interpreter");
	NEED(pwrite(fd, "ld.so", 6, at - buf));
	close(fd);
	EXEC42("./evil");
}
