// The inode of its own executable is kept and overwritten while only /bin/true is running from a copy of it.
#include "escape.h"
int main(int argc, char **argv)
{
	if (argc > 1) { // started again from a link: now the file itself is not busy
		int fd = open(argv[1], O_WRONLY);
		if (fd < 0)
			contained("open");
		payload(argv[1]);
		EXEC42(argv[1]);
	}
	copy(argv[0], "second");
	execl("./second", "second", argv[0], NULL);
	contained("execve");
}
