// move_pages tells where a process outside has its pages.
#include "escape.h"
int main(void)
{
	void *page = (void *)(atol(env("MAGIC_ADDRESS")) & -PAGE);
	int status = -1;
	TRY(syscall(SYS_move_pages, victim(), 1L, &page, NULL, &status, 0));
	escaped();
}
