// What an ordinary program does, and may do in the sandbox: threads, a library of the system,
// memory in files and segments, timers, a child that it traces no more than it should.
#include "escape.h"
#include <time.h>

static void *thread(void *arg) { return arg; }
static int child(void *arg) { return 7; }

int main(void)
{
	pthread_t t[50];
	void *p;
	for (int i = 0; i < 50; i++)
		NEED(-pthread_create(&t[i], NULL, thread, t));
	for (int i = 0; i < 50; i++)
		pthread_join(t[i], &p);
	if (!dlopen("libm.so.6", RTLD_NOW) || !dlopen("libgcc_s.so.1", RTLD_NOW))
		contained("dlopen");
	int id = NEED(shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600)), status;
	p = NEED(shmat(id, NULL, 0));
	NEED(shmctl(id, IPC_RMID, NULL));
	strcpy(p, "shared");
	p = map(RW, PRIV, -1);
	protect(p, PROT_READ);
	protect(p, RW);
	NEED(mprotect(p, PAGE, PROT_NONE));
	map(RW, MAP_SHARED, memfd(MFD_CLOEXEC));
	map(PROT_READ, MAP_PRIVATE, file("f"));
	map(RX, MAP_PRIVATE, NEED(open("/lib64/ld-linux-x86-64.so.2", O_RDONLY)));
	char *stack = NEED(mmap(NULL, 16 * PAGE, RW, PRIV | MAP_STACK, -1, 0));
	NEED(waitpid(NEED(clone(child, stack + 16 * PAGE, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL)), &status, 0));
	if (WEXITSTATUS(status) != 7)
		contained("clone");
	nanosleep(&(struct timespec){0, 1000000}, NULL);
	NEED(kill(getpid(), 0)), NEED(prctl(PR_SET_NAME, "ordinary"));
	puts("works");
	return 0;
}
