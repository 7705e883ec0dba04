// A program that asks for an executable stack (PT_GNU_STACK RWX): the kernel gives it one without any call.
#include "escape.h"
int main(void)
{
	unsigned char code[64] __attribute__((aligned(64)));
	write42(code);
	__asm__ volatile("" ::"r"(code) : "memory");
	run42(code);
}
