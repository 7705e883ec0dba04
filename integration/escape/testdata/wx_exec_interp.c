// An ELF file whose interpreter (PT_INTERP) is a written file, which the kernel maps and enters.
#include "escape.h"
int main(void)
{
	char buf[65536];
	copy("payload.static", "ld.so");
	copy("payload", "evil");
	int fd = NEED(open("evil", O_RDWR));
	ssize_t n = NEED(read(fd, buf, sizeof buf));
	char *at = memmem(buf, n, "/lib64/ld-linux-x86-64.so.2", 27);
	if (!at)
		not_here("no interpreter");
	NEED(pwrite(fd, "ld.so", 6, at - buf));
	close(fd);
	EXEC42("./evil");
}
