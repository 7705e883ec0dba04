// A written library is loaded with dlopen.
#include "escape.h"
int main(void)
{
	copy("payload.so", "evil.so");
	void *lib = dlopen("./evil.so", RTLD_NOW);
	if (!lib)
		errno = EACCES, contained("dlopen");
	run42(dlsym(lib, "answer"));
}
