// The stack of another thread is made executable.
#include "escape.h"
static void *thread(void *arg)
{
	unsigned char code[64] __attribute__((aligned(64)));
	write42(code);
	protect((void *)((uintptr_t)code & -PAGE), RX | PROT_WRITE);
	run42(code);
	return NULL;
}
int main(void)
{
	pthread_t t;
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	return 1;
}
