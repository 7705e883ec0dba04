// Gets descriptors of files in memory in every way, makes the files grow in every way, and loses them in
// every way.
//
//	memfiles ways             prints what each call answers, the sizes and the positions
//	memfiles refused MB       each way of getting a descriptor, each way of growing by so many MB: counts refusals
//	memfiles stress MB N      N processes create, grow, share, close and are killed; then as much must be there as before
//	memfiles race MB          threads exchange descriptors, positions and iovecs of calls that are on their way
//	memfiles busy MB          gets each descriptor in a process whose other threads write to a pipe and a file all
//	                          the time, exchanging these; and by paths that are exchanged
//
// Shows: memory that is not mapped is counted, whoever gets it how, and never lost.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB (1L << 20)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char name[64];
static char *text;

static void say(const char *what, int fd, long ret)
{
	int e = errno;
	struct stat st = {0};
	fstat(fd, &st);
	printf("%-28s %ld %s, size %ld, at %ld\n", what, ret, ret < 0 ? strerror(e) : "", (long)st.st_size, (long)lseek(fd, 0, SEEK_CUR));
	fflush(stdout);
}

// Ways of getting a descriptor that may be written to.

static int reopen(int fd, int flags)
{
	char p[64];
	sprintf(p, "/proc/self/fd/%d", fd);
	int new = open(p, flags);
	close(fd);
	return new;
}

static int by_memfd(void) { return memfd_create("m", MFD_CLOEXEC | MFD_ALLOW_SEALING); }
static int by_open(void) { return open(name, O_CREAT | O_RDWR, 0600); }
static int by_creat(void) { return syscall(SYS_creat, name, 0600); }
static int by_old_open(void) { return syscall(SYS_open, name, O_CREAT | O_WRONLY, 0600); }
static int by_tmpfile(void) { return open("/dev/shm", O_TMPFILE | O_RDWR, 0600); }
static int by_openat2(void)
{
	struct open_how how = {.flags = O_CREAT | O_RDWR, .mode = 0600};
	return syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof how);
}
static int by_reopening(void) { return reopen(open(name, O_CREAT | O_RDONLY, 0600), O_RDWR); }
static int by_path(void) { return reopen(open(name, O_CREAT | O_RDWR, 0600), O_RDWR | O_APPEND); }
static int by_dup(void)
{
	int fd = by_memfd(), new = dup(fd);
	close(fd);
	return new;
}

static void send_fd(int sock, int fd)
{
	char c[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec io = {"x", 1};
	struct msghdr h = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
	struct cmsghdr *m = CMSG_FIRSTHDR(&h);
	m->cmsg_level = SOL_SOCKET;
	m->cmsg_type = SCM_RIGHTS;
	m->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(m), &fd, sizeof fd);
	sendmsg(sock, &h, 0);
}

static int receive_fd(int sock, int many)
{
	char c[CMSG_SPACE(sizeof(int))], b;
	struct iovec io = {&b, 1};
	struct mmsghdr h = {.msg_hdr = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c}};
	long n = many ? recvmmsg(sock, &h, 1, 0, NULL) : recvmsg(sock, &h.msg_hdr, 0);
	struct cmsghdr *m = n < 1 ? NULL : CMSG_FIRSTHDR(&h.msg_hdr);
	int fd = -1;
	if (m)
		memcpy(&fd, CMSG_DATA(m), sizeof fd);
	return fd;
}

static int by_message(int many)
{
	int s[2];
	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	pid_t child = fork();
	if (child == 0) {
		send_fd(s[0], by_memfd());
		_exit(0);
	}
	waitpid(child, NULL, 0);
	int fd = receive_fd(s[1], many);
	close(s[0]);
	close(s[1]);
	return fd;
}
static int by_recvmsg(void) { return by_message(0); }
static int by_recvmmsg(void) { return by_message(1); }

static int by_pidfd(void)
{
	int p[2];
	pipe(p);
	pid_t child = fork();
	if (child == 0) {
		int fd = by_memfd();
		write(p[1], &fd, sizeof fd);
		pause();
	}
	int theirs, pidfd = syscall(SYS_pidfd_open, child, 0);
	read(p[0], &theirs, sizeof theirs);
	int fd = syscall(SYS_pidfd_getfd, pidfd, theirs, 0);
	if (fd < 0) { // where that is not permitted
		char path[64];
		sprintf(path, "/proc/%d/fd/%d", child, theirs);
		fd = open(path, O_RDWR);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(pidfd);
	close(p[0]);
	close(p[1]);
	return fd;
}

static int from_other;
static int other(void *create)
{
	from_other = by_memfd();
	return 0;
}
static int by_shared_table(void)
{
	static char stack[64 << 10];
	int status;
	pid_t child = clone(other, stack + sizeof stack, CLONE_VM | CLONE_FILES | SIGCHLD, NULL);
	waitpid(child, &status, 0);
	return from_other;
}

static void *thread(void *a) { other(NULL); return a; }
static int by_thread(void)
{
	pthread_t t;
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	return from_other;
}

static const struct {
	const char *name;
	int (*get)(void);
} ways[] = {
	{"memfd_create", by_memfd}, {"open", by_open}, {"open of 1991", by_old_open}, {"creat", by_creat},
	{"O_TMPFILE", by_tmpfile}, {"openat2", by_openat2}, {"reopened", by_reopening}, {"reopened to append", by_path},
	{"dup", by_dup}, {"recvmsg", by_recvmsg}, {"recvmmsg", by_recvmmsg}, {"pidfd_getfd", by_pidfd},
	{"CLONE_FILES", by_shared_table}, {"another thread", by_thread},
};

// Ways of growing by n bytes.

static long grow_write(int fd, long n) { return write(fd, text, n); }
static long grow_pwrite(int fd, long n) { return pwrite(fd, text, n, lseek(fd, 0, SEEK_END)); }
static long grow_writev(int fd, long n)
{
	struct iovec v[3] = {{text, n / 2}, {text, 0}, {text, n - n / 2}};
	return writev(fd, v, 3);
}
static long grow_pwritev(int fd, long n)
{
	struct iovec v[2] = {{text, n / 2}, {text, n - n / 2}};
	return pwritev(fd, v, 2, lseek(fd, 0, SEEK_END));
}
static long grow_pwritev2(int fd, long n)
{
	struct iovec v[2] = {{text, n / 2}, {text, n - n / 2}};
	return pwritev2(fd, v, 2, 0, RWF_APPEND);
}
static long grow_pwritev2_at(int fd, long n)
{
	struct iovec v[2] = {{text, n / 2}, {text, n - n / 2}};
	return pwritev2(fd, v, 2, -1, 0);
}
static long grow_ftruncate(int fd, long n)
{
	struct stat st;
	fstat(fd, &st);
	return ftruncate(fd, st.st_size + n);
}
static long grow_truncate(int fd, long n)
{
	struct stat st;
	char p[64];
	fstat(fd, &st);
	sprintf(p, "/proc/self/fd/%d", fd);
	return truncate(p, st.st_size + n);
}
static long grow_fallocate(int fd, long n)
{
	struct stat st;
	fstat(fd, &st);
	return fallocate(fd, 0, st.st_size, n);
}
static long grow_keeping(int fd, long n)
{
	struct stat st;
	fstat(fd, &st);
	return fallocate(fd, FALLOC_FL_KEEP_SIZE, (st.st_size + 4095) & -4096, n);
}
static int source(long n)
{
	char path[] = "source-XXXXXX"; // on a disk
	int from = mkstemp(path);
	unlink(path);
	ftruncate(from, n);
	lseek(from, 0, SEEK_SET);
	return from;
}
static long grow_sendfile(int fd, long n)
{
	int from = source(n);
	long r = sendfile(fd, from, NULL, n);
	int e = errno;
	close(from);
	errno = e;
	return r;
}
static long grow_copy(int fd, long n)
{
	int from = source(n);
	long r = copy_file_range(from, NULL, fd, NULL, n, 0);
	int e = errno;
	close(from);
	errno = e;
	return r;
}

static long grow_within(int fd, long n)
{
	struct stat st;
	off_t from = 0, to;
	fstat(fd, &st);
	to = st.st_size + n;
	return copy_file_range(fd, &from, fd, &to, 20000, 0) + from + to;
}

static const struct {
	const char *name;
	long (*grow)(int fd, long n);
} growths[] = {
	{"write", grow_write}, {"pwrite", grow_pwrite}, {"writev", grow_writev}, {"pwritev", grow_pwritev},
	{"pwritev2, RWF_APPEND", grow_pwritev2}, {"pwritev2 at the position", grow_pwritev2_at},
	{"ftruncate", grow_ftruncate}, {"truncate", grow_truncate}, {"fallocate", grow_fallocate},
	{"fallocate, keeping the size", grow_keeping}, {"sendfile", grow_sendfile}, {"copy_file_range", grow_copy},
};

// in runs f in a process of its own.
static int in(int (*f)(int, long), int i, long n)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		int r = f(i, n);
		fflush(stdout);
		_exit(r);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int use(int i, long n)
{
	int fd = ways[i].get();
	say(ways[i].name, fd, fd < 0 ? -1 : 0);
	for (int j = 0; j < COUNT(growths); j++)
		say(growths[j].name, fd, growths[j].grow(fd, n));
	char back[8] = "";
	pread(fd, back, 4, 0);
	printf("it begins with %.4s\n", back);
	unlink(name);
	return 0;
}

static int corners(int i, long n)
{
	int fd = by_memfd();
	// A part of what is to be written is not there.
	char *hole = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(hole, 'h', 8192);
	munmap(hole + 4096, 4096);
	say("half of it", fd, write(fd, hole, 8192));
	say("none of it", fd, write(fd, hole + 4096, 10));
	struct iovec v[2] = {{text, 10}, {text, -1}};
	say("an impossible length", fd, writev(fd, v, 2));
	say("an impossible array", fd, syscall(SYS_writev, fd, 8, 2));
	say("too many", fd, syscall(SYS_writev, fd, v, 1025));
	say("nothing", fd, write(fd, text, 0));
	say("nothing of nothing", fd, writev(fd, NULL, 0));
	say("before the start", fd, pwrite(fd, text, 1, -1));
	say("negative", fd, ftruncate(fd, -1));
	say("negative space", fd, fallocate(fd, 0, -1, 1));
	say("no space", fd, fallocate(fd, 0, 0, 0));
	say("punch without keeping", fd, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
	say("collapse", fd, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
	say("punch", fd, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	say("flags that are none", fd, pwritev2(fd, v, 1, 0, 1 << 20));
	lseek(fd, 100, SEEK_SET);
	say("in the middle", fd, write(fd, "abc", 3));
	int ro = reopen(dup(fd), O_RDONLY);
	say("read-only", ro, write(ro, "abc", 3));
	say("read-only ftruncate", ro, ftruncate(ro, 1 << 16));
	say("of a pipe", 0, ftruncate(99, 10));
	fcntl(fd, F_SETFL, O_APPEND);
	say("to append", fd, pwrite(fd, "abc", 3, 5));
	say("to append by write", fd, write(fd, "abc", 3));
	fcntl(fd, F_SETFL, 0);
	say("within itself", fd, grow_within(fd, 5000));
	say("onto itself", fd, copy_file_range(fd, NULL, fd, NULL, 4096, 0));
	int from = source(300000);
	off_t at = 299000;
	say("the end of a file", fd, sendfile(fd, from, &at, 5000) + at);
	say("all of a file", fd, sendfile(fd, from, NULL, 1 << 20));
	say("after its end", from, sendfile(fd, from, NULL, 1 << 20));
	ftruncate(fd, 10000);
	lseek(fd, 0, SEEK_SET);
	signal(SIGXFSZ, SIG_IGN);
	struct rlimit r = {20000, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
	setrlimit(RLIMIT_FSIZE, &r);
	say("up to the limit", fd, write(fd, text, 40000));
	say("beyond the limit", fd, write(fd, text, 1));
	say("ftruncate beyond", fd, ftruncate(fd, 20001));
	say("fallocate beyond", fd, fallocate(fd, 0, 0, 20001));
	setrlimit(RLIMIT_FSIZE, &none);
	fcntl(fd, F_ADD_SEALS, F_SEAL_GROW);
	say("sealed", fd, write(fd, text, 1));
	say("sealed ftruncate", fd, ftruncate(fd, 1 << 20));
	say("sealed, smaller", fd, ftruncate(fd, 100));
	return 0;
}

// The file grows with its mapping, for which no huge pages need to be there.
static int count_huge(int i, long n)
{
	int fd = memfd_create("h", MFD_HUGETLB);
	struct stat st;
	void *p = mmap(NULL, 4 * MB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	fstat(fd, &st);
	if (fd < 0 || p == MAP_FAILED || st.st_size != 4 * MB)
		printf("huge pages: %d, %s, size %ld\n", fd, strerror(errno), (long)st.st_size);
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	int refused = p == MAP_FAILED && errno == ENOMEM;
	refused += ftruncate(fd, n) < 0 && errno == ENOMEM;
	return refused;
}

static int count(int i, long n)
{
	int refused = 0;
	int fd = ways[i].get();
	for (int j = 0; j < COUNT(growths); j++) {
		int copies = growths[j].grow == grow_sendfile || growths[j].grow == grow_copy;
		lseek(fd, 0, SEEK_SET);
		long r = growths[j].grow(fd, n);
		int sized = growths[j].grow == grow_ftruncate || growths[j].grow == grow_truncate;
		struct stat st;
		fstat(fd, &st);
		if (r < 0 && (copies || errno == (sized ? ENOMEM : ENOSPC)) && st.st_size == 0 && st.st_blocks == 0)
			refused++;
		else if (growths[j].grow == grow_sendfile && r < n)
			refused++; // it does what is possible
		else
			printf("%s, %s of %ld: %ld %s\n", ways[i].name, growths[j].name, n, r, strerror(errno));
		ftruncate(fd, 0);
	}
	unlink(name);
	return refused;
}

// stress makes a life of files. Half of the processes are killed in it.
static int life(int i, long n)
{
	unsigned seed = i;
	int fds[8] = {-1, -1, -1, -1, -1, -1, -1, -1}, s[2];
	socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s);
	for (int k = 0; k < n; k++) {
		int *fd = &fds[rand_r(&seed) % COUNT(fds)];
		switch (rand_r(&seed) % 8) {
		case 0: case 1:
			close(*fd);
			sprintf(name, "/dev/shm/memfiles-%d-%d", getppid(), rand_r(&seed) % 4);
			*fd = rand_r(&seed) % 2 ? by_memfd() : open(name, O_CREAT | O_RDWR | (rand_r(&seed) % 4 ? 0 : O_TRUNC), 0600);
			break;
		case 2: case 3: {
			int g = rand_r(&seed) % 10;
			growths[g].grow(*fd, rand_r(&seed) % MB);
			break;
		}
		case 4:
			ftruncate(*fd, rand_r(&seed) % MB);
			break;
		case 5: {
			void *p = mmap(NULL, 65536, PROT_READ, MAP_SHARED, *fd, 0);
			if (rand_r(&seed) % 2)
				munmap(p, 65536);
			break;
		}
		case 6:
			if (*fd >= 0 && rand_r(&seed) % 2)
				send_fd(s[0], *fd);
			else
				*fd = receive_fd(s[1], rand_r(&seed) % 2);
			break;
		case 7:
			sprintf(name, "/dev/shm/memfiles-%d-%d", getppid(), rand_r(&seed) % 4);
			unlink(name);
			if (rand_r(&seed) % 3 == 0 && fork() == 0)
				_exit(growths[rand_r(&seed) % 10].grow(*fd, MB / 4) < 0);
			if (rand_r(&seed) % 8 == 0 && i % 2)
				kill(getpid(), SIGKILL);
			break;
		}
	}
	return 0;
}

// room returns how large a file may become, of at most all bytes.
static long room(long all)
{
	long low = 0, high = all + 1;
	int fd = by_memfd();
	while (high - low > 4096) {
		long middle = (low + high) / 2;
		if (ftruncate(fd, middle) == 0)
			low = middle;
		else
			high = middle;
	}
	close(fd);
	return low;
}

static int stress(long all, int n)
{
	long before = room(all);
	prctl(PR_SET_CHILD_SUBREAPER, 1); // grandchildren are waited for as well
	for (int i = 0; i < n; i++)
		if (fork() == 0)
			_exit(life(i, 300));
	while (wait(NULL) > 0)
		;
	for (int k = 0; k < 4; k++) {
		sprintf(name, "/dev/shm/memfiles-%d-%d", getpid(), k);
		unlink(name);
	}
	long lost = before - room(all);
	printf("lost %ld MB, and %s\n", lost / MB, before > all / 2 ? "that is of much" : "there was little");
	return 0;
}

// Threads exchange what a call is about.
static volatile int fd_now, stop;
static int big, small, null;
static struct iovec shared_iov[2];
static void *exchange(void *a)
{
	for (unsigned i = 0; !stop; i++) {
		dup2(i % 3 == 0 ? big : i % 3 == 1 ? small : null, fd_now);
		lseek(big, i % 2 ? 0 : 32 * MB, SEEK_SET);
		shared_iov[1].iov_len = i % 2 ? 1 : 16 * MB;
	}
	return a;
}

static int race(long limit)
{
	pthread_t t[2];
	long sum = 0;
	big = by_memfd();
	small = by_memfd();
	null = open("/dev/null", O_WRONLY);
	fd_now = dup(null);
	shared_iov[0].iov_base = shared_iov[1].iov_base = text;
	shared_iov[0].iov_len = 10;
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, exchange, NULL);
	for (int i = 0; i < 400; i++) {
		if (i % 3 == 0)
			writev(fd_now, shared_iov, 2);
		else if (i % 3 == 1)
			write(fd_now, text, 4 * MB);
		else
			ftruncate(fd_now, i % 2 ? 0 : limit / 2);
		struct stat a, b;
		fstat(big, &a);
		fstat(small, &b);
		if (a.st_size + b.st_size > sum)
			sum = a.st_size + b.st_size;
		if (sum > limit)
			break;
	}
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	printf("%s\n", sum > limit ? "more than there may be" : "never more than there may be");
	return 0;
}

// Threads are in calls of all kinds when their process gets its first file in memory.
static int pipe_ends[2];
static void *busy(void *a)
{
	char b[4096] = {0};
	while (!stop)
		switch ((long)a) {
		case 0:
			write(pipe_ends[1], b, sizeof b); // waits most of the time
			break;
		case 1:
			close(dup(null));
			write(null, b, sizeof b);
			break;
		case 2: {
			int fd = open("/dev/null", O_WRONLY);
			write(fd, b, 10);
			close(fd);
			break;
		}
		}
	return NULL;
}

// The name stands for a file on a disk and one in memory by turns.
static char link_name[80], other_name[80];
static void *turn(void *a)
{
	for (unsigned i = 0; !stop; i++) {
		unlink(other_name);
		symlink(i % 2 ? "/dev/null" : name, other_name);
		rename(other_name, link_name);
	}
	return a;
}
static int by_turning_link(void)
{
	pthread_t t;
	struct stat st;
	int fd = -1;
	sprintf(link_name, "%s-link", name);
	sprintf(other_name, "%s-other", name);
	close(by_open());
	pthread_create(&t, NULL, turn, NULL);
	do {
		close(fd);
		fd = open(link_name, O_RDWR);
	} while (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode));
	stop = 1;
	pthread_join(t, NULL);
	unlink(link_name);
	unlink(other_name);
	return fd;
}
static int by_dev_fd(void)
{
	char p[32];
	int fd = open(name, O_CREAT | O_RDONLY, 0600);
	sprintf(p, "/dev/fd/%d", fd);
	int new = open(p, O_RDWR);
	close(fd);
	return new;
}

static int count_busy(int i, long n)
{
	static int (*const gets[])(void) = {by_memfd, by_open, by_tmpfile, by_reopening, by_dev_fd, by_recvmsg, by_recvmmsg,
		by_pidfd, by_shared_table, by_thread, by_turning_link};
	pthread_t t[3];
	int refused = 0;
	if (i >= COUNT(gets))
		return 255;
	null = open("/dev/null", O_WRONLY);
	pipe(pipe_ends);
	for (long k = 0; k < 3; k++)
		pthread_create(&t[k], NULL, busy, (void *)k);
	usleep(1000);
	int fd = gets[i]();
	for (int j = 0; j < 10; j++) {
		struct stat st;
		lseek(fd, 0, SEEK_SET);
		growths[j].grow(fd, n);
		fstat(fd, &st);
		if (st.st_size == 0 && st.st_blocks == 0)
			refused++;
		else
			printf("busy %d, %s: %ld\n", i, growths[j].name, (long)st.st_size);
	}
	unlink(name);
	fflush(stdout);
	_exit(refused);
}

int main(int argc, char **argv)
{
	sprintf(name, "/dev/shm/memfiles-%d", getpid());
	long n = argc > 2 ? atol(argv[2]) * MB : 10000;
	text = mmap(NULL, 64 * MB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); // zeros, which cost nothing
	if (strcmp(argv[1], "ways") == 0) {
		text = malloc(1 << 20);
		memset(text, 't', 1 << 20);
		for (int i = 0; i < COUNT(ways); i++)
			in(use, i, n);
		in(corners, 0, n);
		printf("done\n");
		return 0;
	}
	if (strcmp(argv[1], "stress") == 0)
		return stress(n, atoi(argv[3]));
	if (strcmp(argv[1], "race") == 0)
		return race(n);
	if (strcmp(argv[1], "busy") == 0) {
		int sum = 0, r, i;
		for (i = 0; (r = in(count_busy, i, n)) != 255; i++)
			sum += r;
		printf("refused %d of %d\n", sum, i * 10);
		return 0;
	}
	int refused = 0, all = COUNT(ways) * COUNT(growths);
	for (int i = 0; i < COUNT(ways); i++)
		refused += in(count, i, n);
	refused += in(count_huge, 0, n);
	printf("refused %d of %d\n", refused, all + 2);
	return 0;
}
