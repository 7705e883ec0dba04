/*
 * Executes what it has no business to:
 *
 *   wxuser jit        code that it has written to memory
 *   wxuser lib FILE   a shared object, from its function answer
 *   wxuser run FILE   a program
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; // return 42

int main(int argc, char **argv)
{
	if (!strcmp(argv[1], "jit")) {
		char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memcpy(p, code, sizeof code);
		if (mprotect(p, 4096, PROT_READ | PROT_EXEC))
			printf("mprotect: %s\n", strerrorname_np(errno));
		else
			printf("%d\n", ((int (*)(void))p)());
	} else if (!strcmp(argv[1], "lib")) {
		void *h = dlopen(argv[2], RTLD_NOW);
		int (*answer)(void) = h ? (int (*)(void))dlsym(h, "answer") : NULL;
		if (answer)
			printf("%d\n", answer());
		else
			printf("not loaded\n");
	} else {
		fflush(stdout);
		execl(argv[2], argv[2], NULL);
		printf("execve: %s\n", strerrorname_np(errno));
	}
	return 0;
}
