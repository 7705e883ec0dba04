// A file in /tmp, /var/tmp or /dev/shm, where other programs of the user look for theirs.
#include "escape.h"
int main(void)
{
	static const char *const dirs[] = {"/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/dev/mqueue"};
	for (int i = 0; i < 5; i++) {
		char *path = NULL;
		asprintf(&path, "%s/runsbx-escape-%d", dirs[i], getpid());
		if (open(path, O_WRONLY | O_CREAT | O_EXCL, 0600) >= 0) {
			unlink(path);
			escaped();
		}
	}
	contained("open");
}
