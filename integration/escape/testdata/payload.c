// What is written at run time: a program that ends with status 42, and, with -shared, a library
// whose function answers 42 and that ends a program into which it is preloaded.
#include <stdlib.h>
#include <unistd.h>

int answer(void) { return 42; }
int main(void) { return answer(); }
__attribute__((constructor)) static void preloaded(void)
{
	if (getenv("LD_PRELOAD") || getenv("LD_AUDIT"))
		_exit(42);
}
