// System V objects: its own are usable, those of others (identifiers and keys are arguments) are not.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *say(long ret) { return ret < 0 ? strerrorname_np(errno) : "ok"; }

static void own(key_t key)
{
	struct { long type; char text[8]; } msg = { 1, "hello" };
	struct sembuf up = { 0, 1, 0 }, down = { 0, -1, 0 };
	struct shmid_ds ds;
	int shm = shmget(IPC_PRIVATE, 10000, IPC_CREAT | 0600);
	char *at = shmat(shm, 0, 0);
	strcpy(at, "there");
	int sem = semget(key, 1, IPC_CREAT | IPC_EXCL | 0600);
	printf("again: %s", say(semget(key, 1, IPC_CREAT | IPC_EXCL | 0600)));
	printf(" %d", semget(key, 1, IPC_CREAT | 0600) == sem);
	printf(" %d\n", semget(key, 1, 0) == sem);
	printf("none: %s\n", say(msgget(key, 0)));
	int msq = msgget(key, IPC_CREAT | 0600);
	pid_t child = fork();
	if (child == 0) {
		semop(sem, &down, 1);
		char *mine = shmat(shm, 0, SHM_RDONLY);
		msgsnd(msgget(key, 0600), &msg, sizeof msg.text, 0);
		_exit(strcmp(mine, "there") == 0 ? 7 : 8);
	}
	usleep(20000);
	semop(sem, &up, 1);
	int status = 0;
	waitpid(child, &status, 0);
	memset(&msg, 0, sizeof msg);
	long n = msgrcv(msq, &msg, sizeof msg.text, 0, 0);
	printf("child %d, message %ld %s\n", WEXITSTATUS(status), n, msg.text);
	printf("attached %s %d\n", say(shmctl(shm, IPC_STAT, &ds)), (int)ds.shm_nattch);
	printf("removed %s", say(semctl(sem, 0, IPC_RMID)));
	printf(" %s", say(msgctl(msq, IPC_RMID, 0)));
	printf(" %s", say(shmctl(shm, IPC_RMID, 0)));
	printf(" %s\n", say(semctl(sem, 0, IPC_RMID)));
	int left = shmget(key, 4096, IPC_CREAT | 0600);
	int sem2 = semget(key, 2, IPC_CREAT | 0600), msq2 = msgget(key, IPC_CREAT | 0600);
	printf("left %s", say(left)); printf(" %s", say(sem2)); printf(" %s\n", say(msq2));
}

static void others(char **argv)
{
	struct { long type; char text[8]; } msg = { 1, "hello" };
	struct sembuf up = { 0, 1, 0 };
	struct shmid_ds ds;
	int shm = atoi(argv[2]), sem = atoi(argv[3]), msq = atoi(argv[4]);
	key_t key = strtol(argv[5], 0, 0);
	printf("shmat %s\n", say((long)shmat(shm, 0, 0)));
	printf("shmctl %s\n", say(shmctl(shm, IPC_STAT, &ds)));
	printf("shmctl RMID %s\n", say(shmctl(shm, IPC_RMID, 0)));
	printf("shmget %s\n", say(shmget(key, 1, 0)));
	printf("shmget CREAT %s\n", say(shmget(key, 1, IPC_CREAT | 0600)));
	printf("semop %s\n", say(semop(sem, &up, 1)));
	printf("semctl %s\n", say(semctl(sem, 0, SETVAL, 3)));
	printf("semctl RMID %s\n", say(semctl(sem, 0, IPC_RMID)));
	printf("semget %s\n", say(semget(key, 1, 0)));
	printf("semget EXCL %s\n", say(semget(key, 1, IPC_CREAT | IPC_EXCL | 0600)));
	printf("msgsnd %s\n", say(msgsnd(msq, &msg, 8, IPC_NOWAIT)));
	printf("msgrcv %s\n", say(msgrcv(msq, &msg, 8, 0, IPC_NOWAIT)));
	printf("msgctl RMID %s\n", say(msgctl(msq, IPC_RMID, 0)));
	printf("msgget %s\n", say(msgget(key, IPC_CREAT | 0600)));
	printf("semop of none %s\n", say(semop(0x7ffffff0, &up, 1)));
	printf("semctl INFO %s\n", say(semctl(0, 0, IPC_INFO, &(struct seminfo){0})));
	printf("mq_open %s\n", say(mq_open("/runsbx", O_CREAT | O_RDWR, 0600, 0)));
}

int main(int argc, char **argv)
{
	if (strcmp(argv[1], "own") == 0)
		own(strtol(argv[2], 0, 0));
	else
		others(argv);
	return 0;
}
