// get_robust_list gives an address of a process outside (Linux calls it a way around ASLR).
#include "escape.h"
int main(void)
{
	void *head;
	size_t n;
	TRY(syscall(SYS_get_robust_list, victim(), &head, &n));
	escaped();
}
