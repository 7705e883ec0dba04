// A symbolic link that leads to a permitted file is exchanged for one to the secret while it is opened.
#include "escape.h"
static void *swapper(void *arg)
{
	for (;;)
		renameat2(AT_FDCWD, "good", AT_FDCWD, "bad", RENAME_EXCHANGE);
	return NULL;
}
int main(void)
{
	char buf[13];
	NEED(symlink("/etc/passwd", "good")), NEED(symlink(env("SECRET"), "bad"));
	racer(swapper, NULL);
	for (int i = 0; i < rounds(); i++) {
		int fd = open("good", O_RDONLY);
		if (fd >= 0 && read(fd, buf, 13) == 13 && memcmp(buf, "RUNSBX-SECRET", 13) == 0)
			escaped();
		close(fd);
	}
	errno = EAGAIN, contained("every round");
}
