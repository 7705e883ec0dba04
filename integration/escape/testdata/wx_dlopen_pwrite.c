// A library that is already loaded is overwritten in its file (a library, unlike a program, is not ETXTBSY).
#include "escape.h"
int main(void)
{
	copy("payload.so", "lib.so");
	void *lib = dlopen("./lib.so", RTLD_NOW);
	if (!lib)
		errno = EACCES, contained("dlopen");
	char *answer = dlsym(lib, "answer");
	Dl_info info;
	dladdr(answer, &info);
	int fd = TRY(open("lib.so", O_RDWR));
	static const unsigned char code41[] = {0xb8, 41, 0, 0, 0, 0xc3};
	TRY(pwrite(fd, code41, sizeof code41, answer - (char *)info.dli_fbase)); // file offset and address are the same
	if (((int (*)(void))answer)() == 41)
		escaped();
	contained("no effect");
}
