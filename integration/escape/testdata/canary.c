// The victim: an outside process of the same user, with one of everything that a program might
// reach. It prints where its things are, as variables for the attacks, then "ready". For each line
// that it reads it prints one line with what was done to it: "untouched" or a list. It tidies up.
#include "escape.h"
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/msg.h>
#include <sys/sem.h>

enum { SOCKETS = 6 };
static volatile sig_atomic_t signals[65];
static char magic[] = "RUNSBX-SECRET in memory";
static void on_signal(int sig) { signals[sig]++; }

static char hits[4096];
static void hit(const char *what, long n)
{
	char *end = hits + strlen(hits);
	snprintf(end, hits + sizeof hits - end, "%s (%ld), ", what, n);
}

static int listener(int domain, int type, void *a, socklen_t n)
{
	int s = NEED(socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	NEED(bind(s, a, n));
	if (type != SOCK_DGRAM)
		NEED(listen(s, 16));
	return s;
}
static int local(int type, const char *dir, const char *name, const char *variable)
{
	struct sockaddr_un a;
	char *path = join(dir, name);
	int n = unix_address(&a, path), s = listener(AF_UNIX, type, &a, n);
	if (path[0] != '@')
		chmod(path, 0666);
	printf("%s=%s\n", variable, path);
	return s;
}
static int inet(int type, const char *variable)
{
	struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof a;
	int s = listener(AF_INET, type, &a, n);
	getsockname(s, (struct sockaddr *)&a, &n);
	printf("%s=%d\n", variable, ntohs(a.sin_port));
	return s;
}

int main(int argc, char **argv) // canary DIR SECRET
{
	char name[64], line[64];
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < 65; i++)
		if (i != SIGCHLD && i != SIGSEGV && i != SIGBUS)
			sigaction(i, &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_RESTART}, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int secret = NEED(open(argv[2], O_RDONLY));
	*strrchr(argv[2], '/') = 0;
	NEED(chdir(argv[2]));
	printf("VICTIM_PID=%d\nVICTIM_FD=%d\nMAGIC_ADDRESS=%ld\n", getpid(), secret, (long)magic);

	int s[SOCKETS] = {
		local(SOCK_STREAM, argv[1], "/stream", "STREAM_SOCKET"), local(SOCK_DGRAM, argv[1], "/dgram", "DGRAM_SOCKET"),
		local(SOCK_SEQPACKET, argv[1], "/seq", "SEQPACKET_SOCKET"), 0, inet(SOCK_STREAM, "TCP_PORT"), inet(SOCK_DGRAM, "UDP_PORT"),
	};
	snprintf(name, sizeof name, "@runsbx-canary-%d", getpid());
	s[3] = local(SOCK_STREAM, "", name, "ABSTRACT_SOCKET");
	static const char *what[] = {"stream", "dgram", "seqpacket", "abstract", "tcp", "udp"};

	int memory = NEED(memfd_create("canary", 0));
	NEED(ftruncate(memory, PAGE)), NEED(fchmod(memory, 0700));
	printf("VICTIM_MEMFD=%d\n", memory);

	int shm = NEED(shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600)), msg = NEED(msgget(IPC_PRIVATE, IPC_CREAT | 0600)),
	    sem = NEED(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600));
	strcpy((char *)NEED(shmat(shm, NULL, 0)), magic);
	msgsnd(msg, &(struct { long t; char b[32]; }){1, "RUNSBX-SECRET"}, 32, 0);
	// One that was killed leaves its queue behind, and its number is another's some day.
	struct timespec made;
	clock_gettime(CLOCK_REALTIME, &made);
	snprintf(name, sizeof name, "/runsbx-canary-%d-%lx", getpid(), made.tv_sec * 1000000000L + made.tv_nsec);
	mqd_t mq = NEED(mq_open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &(struct mq_attr){.mq_maxmsg = 4, .mq_msgsize = 64}));
	printf("SHM_ID=%d\nMSG_ID=%d\nSEM_ID=%d\nMQ_NAME=%s\nready\n", shm, msg, sem, name);

	cpu_set_t cpus, now;
	struct rlimit files, limit;
	sched_getaffinity(0, sizeof cpus, &cpus);
	getrlimit(RLIMIT_NOFILE, &files);
	while (fgets(line, sizeof line, stdin)) {
		hits[0] = 0;
		for (int i = 1; i < 65; i++)
			if (signals[i] && i != SIGCONT)
				hit(strsignal(i), signals[i]);
		for (int i = 0; i < SOCKETS; i++)
			if (poll(&(struct pollfd){s[i], POLLIN}, 1, 0) == 1)
				hit(what[i], 1);
		struct shmid_ds ds = {0};
		struct msqid_ds md = {0};
		struct mq_attr ma = {0};
		if (shmctl(shm, IPC_STAT, &ds) || ds.shm_perm.mode & SHM_DEST || ds.shm_lpid != getpid())
			hit("shm", ds.shm_lpid);
		if (msgctl(msg, IPC_STAT, &md) || md.msg_qnum != 1)
			hit("msg", md.msg_qnum);
		if (semctl(sem, 0, GETVAL) != 0)
			hit("sem", 1);
		if (mq_getattr(mq, &ma) || ma.mq_curmsgs)
			hit("mqueue", ma.mq_curmsgs);
		if (strcmp(magic, "RUNSBX-SECRET in memory"))
			hit("memory", 1);
		if (getpriority(PRIO_PROCESS, 0) || syscall(SYS_ioprio_get, 1, 0) >> 13 == 3 || sched_getscheduler(0))
			hit("priority", getpriority(PRIO_PROCESS, 0));
		if (sched_getaffinity(0, sizeof now, &now) || !CPU_EQUAL(&cpus, &now))
			hit("affinity", CPU_COUNT(&now));
		if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur != files.rlim_cur)
			hit("rlimit", limit.rlim_cur);
		struct stat st;
		if (fstat(memory, &st) || st.st_mode != (S_IFREG | 0700) || st.st_size != PAGE)
			hit("memfd", st.st_mode & 07777);
		if (prctl(PR_GET_TIMERSLACK) > 50000)
			hit("timerslack", prctl(PR_GET_TIMERSLACK));
		puts(hits[0] ? hits : "untouched");
	}
	shmctl(shm, IPC_RMID, NULL), msgctl(msg, IPC_RMID, NULL), semctl(sem, 0, IPC_RMID), mq_unlink(name);
	return 0;
}
