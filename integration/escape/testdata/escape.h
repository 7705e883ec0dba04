// What the programs of this directory share. Each tries one way out and says how it ended:
//
//	escaped            status 0   the effect was seen: code ran that was written, the secret was read, ...
//	contained: REASON  status 1   it was refused
//	not here: REASON   status 77  this host cannot do it, or does not allow it by itself
//
// The environment has NATIVE=1 in runs without runsbx, ROUNDS for races, what canary.c prints, and
// SECRET, SECRET_DIR, VICTIM_FILE, OUTSIDE (a directory that the user may write, not the sandbox).
#pragma once
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, RX = PROT_READ | PROT_EXEC, RWX = RW | PROT_EXEC };
enum { PRIV = MAP_PRIVATE | MAP_ANONYMOUS, SHARED = MAP_SHARED | MAP_ANONYMOUS };

static inline void finish(int status, const char *how, const char *what)
{
	int e = errno;
	dprintf(1, status ? "%s%s: %s\n" : "%s\n", how, what, e ? strerrorname_np(e) : "no effect");
	_exit(status);
}
static inline void escaped(void) { finish(0, "escaped", ""); }
static inline void contained(const char *what) { finish(1, "contained: ", what); }
static inline void not_here(const char *what) { finish(77, "not here: ", what); }
static inline int native(void) { return getenv("NATIVE") != NULL; }

// For attacks whose effect only the victim can tell.
static inline void tried(void) { errno = 0, contained("the victim knows"); }

// Calls of an attack: TRY works natively, HOST is one that the host may refuse by itself, NEED
// prepares the attack.
#define CALL(x, text, failed) ({ errno = 0; __typeof__((x) + 0) r_ = (x); if ((long)r_ == -1) failed(text); r_; })
#define TRY(x) CALL(x, #x, contained)
#define HOST(x) CALL(x, #x, (native() ? not_here : contained))
#define NEED(x) CALL(x, #x, not_here)

static inline char *env(const char *name)
{
	char *v = getenv(name);
	if (!v)
		not_here(name);
	return v;
}
static inline int number(const char *name) { return atoi(env(name)); }
static inline pid_t victim(void) { return number("VICTIM_PID"); }

// Strings.
static inline char *join(const char *a, const char *b)
{
	char *s = NULL;
	return asprintf(&s, "%s%s", a, b) < 0 ? NULL : s;
}
static inline char *proc(pid_t pid, const char *rest)
{
	char *s = NULL;
	return asprintf(&s, "/proc/%d/%s", pid, rest) < 0 ? NULL : s;
}
// The supervisor is the tracer; natively the victim takes its part.
static inline pid_t supervisor(void)
{
	char line[256];
	int pid = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		sscanf(line, "TracerPid: %d", &pid);
	if (f)
		fclose(f);
	if (!pid && !native())
		pid = getppid();
	if ((f = fopen(proc(pid, "status"), "r"))) { // the tracer is a thread
		while (fgets(line, sizeof line, f))
			sscanf(line, "Tgid: %d", &pid);
		fclose(f);
	}
	return pid ? pid : victim();
}

// Code: a function that returns 42.
static const unsigned char code42[] = {0xb8, 42, 0, 0, 0, 0xc3};
static inline void write42(void *at) { memcpy(at, code42, sizeof code42); }
static inline int runs42(void *at) { return ((int (*)(void))at)() == 42; }
static inline void run42(void *at)
{
	errno = 0;
	if (runs42(at))
		escaped();
	contained("what ran is not what was written");
}
static inline void *map(int prot, int flags, int fd)
{
	void *p = mmap(NULL, PAGE, prot, flags, fd, 0);
	if (p == MAP_FAILED)
		contained(prot & PROT_EXEC ? "mmap PROT_EXEC" : "mmap");
	return p;
}
static inline void protect(void *p, int prot)
{
	if (mprotect(p, PAGE, prot))
		contained(prot & PROT_EXEC ? "mprotect PROT_EXEC" : "mprotect");
}
static inline void *written(void) // a page of memory with the code
{
	void *p = map(RW, PRIV, -1);
	write42(p);
	return p;
}
static inline void put42(int fd) // makes a file one page long, with the code
{
	char page[PAGE] = {0};
	write42(page);
	TRY(pwrite(fd, page, PAGE, 0));
}
static inline void putret(int fd) // the same with code that returns 0: what an innocent file has
{
	static const char page[PAGE] = {0x31, 0xc0, 0xc3};
	TRY(pwrite(fd, page, PAGE, 0));
}
static inline int file(const char *path) // a new file with nothing in it
{
	unlink(path);
	return TRY(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0755));
}
static inline int memfd(unsigned flags) { return TRY(memfd_create("code", flags)); }
static inline void *file_page(void) // a page of code of a system library
{
	return (void *)((uintptr_t)dlsym(RTLD_DEFAULT, "qsort_r") & -PAGE);
}

// Programs: payload is in the current directory as data, and exits with status 42.
static inline void copy(const char *from, const char *to)
{
	char buf[65536];
	ssize_t n;
	int in = NEED(open(from, O_RDONLY | O_CLOEXEC)), out = NEED(open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755));
	while ((n = read(in, buf, sizeof buf)) > 0)
		NEED(write(out, buf, n));
	close(in), close(out);
}
static inline void payload(const char *to) { copy("payload", to); }
static inline void ended42(pid_t pid)
{
	int status;
	NEED(waitpid(pid, &status, __WALL));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 42)
		escaped();
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EFAULT;
	contained("the written program");
}
static inline void exec42(const char *path, char *const argv[])
{
	char *alone[] = {(char *)path, NULL};
	pid_t pid = NEED(fork());
	if (pid == 0)
		execv(path, argv ? argv : alone), _exit(errno);
	ended42(pid);
}
#define EXEC42(...) exec42(((char *[]){__VA_ARGS__})[0], (char *[]){__VA_ARGS__, NULL})

// /proc/PID/mem writes through every protection (FOLL_FORCE).
static inline void poke42(const char *mem, void *at)
{
	int fd = TRY(open(mem, O_RDWR | O_CLOEXEC));
	TRY(pwrite(fd, code42, sizeof code42, (off_t)at));
}

// Files.
static inline void see(int fd) // did we get the secret?
{
	char buf[64] = {0};
	TRY(read(fd, buf, sizeof buf - 1));
	errno = 0;
	if (strncmp(buf, "RUNSBX-SECRET", 13) == 0)
		escaped();
	contained("something else was read");
}
static inline void opened_for_writing(const char *path) // nothing is written: opening is enough
{
	HOST(open(path, O_WRONLY | O_CLOEXEC));
	escaped();
}

// Calls that the kernel would refuse for their arguments: did it come so far?
static inline void reached(long r)
{
	if (r != -1)
		escaped();
	if (errno == EPERM || errno == ENOSYS || errno == EACCES || errno == EOPNOTSUPP)
		(native() ? not_here : contained)("refused");
	dprintf(1, "(%s) ", strerrorname_np(errno));
	escaped();
}

// A user who is not root needs a user namespace for other namespaces.
static inline void namespaces(int flags)
{
	char map[64];
	uid_t uid = geteuid();
	HOST(unshare(flags | (uid ? CLONE_NEWUSER : 0)));
	snprintf(map, sizeof map, "0 %u 1", uid);
	if (uid) {
		write(HOST(open("/proc/self/uid_map", O_WRONLY)), map, strlen(map));
		write(HOST(open("/proc/self/setgroups", O_WRONLY)), "deny", 4);
		write(HOST(open("/proc/self/gid_map", O_WRONLY)), map, strlen(map)); // the tests' users have equal ids
	}
	if (flags & CLONE_NEWNS)
		HOST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

// Sockets.
static inline int unix_address(struct sockaddr_un *a, const char *name) // a name with @ is abstract
{
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	strncpy(a->sun_path, name, sizeof a->sun_path - 1);
	if (name[0] == '@')
		a->sun_path[0] = 0;
	return offsetof(struct sockaddr_un, sun_path) + strlen(name);
}
static inline void unix_connect(int type, const char *name)
{
	struct sockaddr_un a;
	int n = unix_address(&a, name), s = HOST(socket(AF_UNIX, type, 0));
	TRY(connect(s, (struct sockaddr *)&a, n));
	TRY(write(s, "hit", 3));
	escaped();
}

// Races. Natively there is more time, since they end with the first success.
static inline int rounds(void) { return number("ROUNDS") * (native() ? 100 : 1); }
static inline void racer(void *(*f)(void *), void *arg)
{
	pthread_t t;
	if (pthread_create(&t, NULL, f, arg))
		not_here("a thread");
	usleep(2000);
}
static inline void toggle_limit(int resource) // of the parent, for ever
{
	struct rlimit was, low;
	NEED(getrlimit(resource, &was));
	for (low = was, low.rlim_cur = PAGE;;) {
		prlimit(getppid(), resource, &low, NULL);
		sched_yield();
		prlimit(getppid(), resource, &was, NULL);
		sched_yield();
	}
}
