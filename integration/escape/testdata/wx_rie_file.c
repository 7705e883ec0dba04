// The same for a written file that is mapped readable.
#include "escape.h"
int main(void)
{
	int fd = file("f");
	put42(fd);
	TRY(personality(READ_IMPLIES_EXEC));
	run42(map(PROT_READ, MAP_PRIVATE, fd));
}
