// The program runs from a copy, so that its own executable is not busy (ETXTBSY), and overwrites that in place.
#include "escape.h"
int main(int argc, char **argv)
{
	if (argc > 1) { // started again from a link: now the file itself is not busy
		int fd = open(argv[1], O_WRONLY);
		if (fd < 0)
			contained("open");
		close(fd);
		payload(argv[1]);
		EXEC42(argv[1]);
	}
	copy(argv[0], "second");
	execl("./second", "second", argv[0], NULL);
	contained("execve");
}
