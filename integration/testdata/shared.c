// Shared memory of every kind: SysV segments, memfd with seals, /dev/shm, anonymous, files of
// several open modes; also a mapping whose file was deleted.
//
// Shows: attaching and detaching, what a descriptor's mode and seals allow, remap_file_pages, and
// that parent and child see each other's writes.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

static void *show(const char *what, void *p)
{
	printf("%s: %s\n", what, p == MAP_FAILED ? strerror(errno) : "ok");
	fflush(stdout);
	return p;
}

static void *try(const char *what, int fd, int prot, int flags)
{
	return show(what, mmap(NULL, 8192, prot, flags, fd, 0));
}

int main(void)
{
	int rw = PROT_READ | PROT_WRITE;
	int id = shmget(IPC_PRIVATE, 3 * 4096 + 1, IPC_CREAT | 0600);
	char *a = show("shmat", shmat(id, NULL, 0)), *b = show("read only", shmat(id, NULL, SHM_RDONLY));
	strcpy(a + 4096, "seen twice");
	printf("%s, %d\n", b + 4096, a != b);
	show("remap an occupied place", shmat(id, a, SHM_REMAP));
	show("occupied", shmat(id, a, 0));
	show("unaligned", shmat(id, a + 1, 0));
	show("rounded", shmat(id, (char *)0x200000000123, SHM_RND));
	munmap(a + 4096, 4096);
	printf("shmdt of the rest %d\n", shmdt(a));
	printf("shmdt again %s\n", shmdt(a) ? strerror(errno) : "ok");
	if (fork() == 0)
		_exit(shmdt(b) || strcmp(shmat(id, NULL, 0) + 4096, "seen twice"));
	int status;
	wait(&status);
	struct shmid_ds ds;
	shmctl(id, IPC_STAT, &ds);
	printf("child %d, attached %ld\n", status, (long)ds.shm_nattch);
	shmctl(id, IPC_RMID, NULL);

	int m = memfd_create("m", MFD_ALLOW_SEALING);
	printf("ftruncate %d\n", ftruncate(m, 65536));
	char *w = try("memfd", m, rw, MAP_SHARED);
	printf("seal while mapped %s\n", fcntl(m, F_ADD_SEALS, F_SEAL_WRITE) ? strerror(errno) : "ok");
	munmap(w, 8192);
	printf("seal %s\n", fcntl(m, F_ADD_SEALS, F_SEAL_WRITE) ? strerror(errno) : "ok");
	try("sealed shared write", m, rw, MAP_SHARED);
	char *r = try("sealed shared read", m, PROT_READ, MAP_SHARED);
	printf("mprotect %s\n", mprotect(r, 4096, rw) ? strerror(errno) : "ok");
	try("sealed private", m, rw, MAP_PRIVATE);

	int fd = open("file", O_RDWR | O_CREAT, 0644), ro = open("file", O_RDONLY), wo = open("file", O_WRONLY);
	if (ftruncate(fd, 65536))
		return 1;
	try("file", fd, rw, MAP_SHARED);
	r = try("read only file shared", ro, PROT_READ, MAP_SHARED);
	printf("made writable %s\n", mprotect(r, 4096, rw) ? strerror(errno) : "ok");
	try("read only file, shared write", ro, rw, MAP_SHARED);
	try("read only file, private write", ro, rw, MAP_PRIVATE);
	try("write only file", wo, PROT_WRITE, MAP_SHARED);
	try("validate", fd, rw, MAP_SHARED_VALIDATE);
	show("sync", mmap(NULL, 8192, rw, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0));
	show("unaligned offset", mmap(NULL, 8192, rw, MAP_SHARED, fd, 1));
	show("beyond the end", mmap(NULL, 8192, rw, MAP_SHARED, fd, 1 << 20));
	show("offset overflows", mmap(NULL, 8192, rw, MAP_SHARED, fd, 0x7ffffffffffff000));
	int dir = open(".", O_RDONLY), null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR), pipes[2];
	if (pipe(pipes))
		return 1;
	int path = open("file", O_PATH);
	try("directory", dir, PROT_READ, MAP_PRIVATE);
	try("/dev/null", null, PROT_READ, MAP_PRIVATE);
	try("/dev/zero private", zero, rw, MAP_PRIVATE);
	try("/dev/zero shared", zero, rw, MAP_SHARED);
	try("pipe", pipes[0], PROT_READ, MAP_PRIVATE);
	try("O_PATH", path, PROT_READ, MAP_PRIVATE);
	try("executable", fd, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	unlink("file");
	char *gone = try("deleted file", fd, rw, MAP_SHARED);
	strcpy(gone, "still there");
	char back[12];
	printf("%zd %s\n", pread(fd, back, 12, 0), back);
	char *n = mmap(NULL, 4 * 4096, rw, MAP_SHARED, fd, 0);
	for (int i = 0; i < 4; i++)
		n[i * 4096] = 'a' + i;
	int e = remap_file_pages(n, 4096, 0, 3, 0);
	printf("remap_file_pages %s %c\n", e ? strerror(errno) : "ok", e ? '-' : n[0]);
	return 0;
}
