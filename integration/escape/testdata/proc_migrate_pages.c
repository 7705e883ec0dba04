// migrate_pages moves the pages of a process outside to another node.
#include "escape.h"
int main(void)
{
	unsigned long node = 1;
	TRY(syscall(SYS_migrate_pages, victim(), 64L, &node, &node));
	escaped();
}
