// /proc/self/mem changes the program's own code; SELinux's execmod does not see it (offlinemark.com, "An obscure quirk of proc").
#include "escape.h"
__attribute__((noinline, aligned(64))) static int answer(void) { __asm__ volatile("nop; nop; nop; nop; nop; nop"); return 0; }
int main(void)
{
	poke42("/proc/self/mem", answer);
	run42(answer);
}
