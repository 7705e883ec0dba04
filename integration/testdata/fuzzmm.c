// Makes a random sequence of memory calls, of every kind and with every flag, and prints each call,
// its result, and a hash of /proc/self/maps after it. The sequence follows from the arguments and
// from the results, so that two runs print the same if, and only if, the answers are the same.
//
// Shows: a program cannot tell the sandbox from Linux by what its memory calls answer
// (differential_test.go compares natively, without randomization, with --aslr off).
//
//	fuzzmm SEED CALLS AT DEPTH FROM FEATURES SHM SKIP
//
//	AT        the call to begin with; 0, but for what executes itself in the middle
//	DEPTH     how many generations of fork and exec it has
//	FROM      whole lists of mappings are printed from this call on
//	FEATURES  letters: A io_setup  B lengths of gigabytes and more  D PR_SET_DUMPABLE  F files
//	          G touching pages  L locks  M personality and MDWE  N NUMA policies  P processes
//	          H no huge pages  R limits  S System V shared memory  T threads  U another user  Z mseal
//	          and instead of the one sequence: V as many mappings as there may be
//	          X threads that are not serialised, each in a place of its own
//	          h hard limits from the start
//	SHM       a directory on tmpfs
//	SKIP      FROM-TO,... calls to leave out
#include "fuzzmm/base.h"
#include "fuzzmm/tasks.h"
#include "fuzzmm/modes.h"

static long number10(const char *s)
{
	long v = 0;
	while (*s)
		v = v * 10 + *s++ - '0';
	return v;
}

int main(int argc, char **argv)
{
	static struct out out = {outBuf, 0, sizeof outBuf};
	if (argc != 9)
		return 2;
	S.exe = argv[0];
	S.seed = number10(argv[1]);
	S.calls = number10(argv[2]);
	M.out = &out;
	M.at = number10(argv[3]);
	S.depth = number10(argv[4]);
	S.from = number10(argv[5]);
	S.features = argv[6];
	S.shm = argv[7];
	S.skip = argv[8];
	for (int i = 0; i < 8; i++)
		S.seg[i] = -1;
	if (!M.at && !S.depth && has('h'))
		hardLimits();
	S.brk0 = CALL(SYS_brk, 0);
	openFiles(!M.at && !S.depth);
	char deep[64 << 10]; // the stack that we need
	memset(deep, 1, sizeof deep);
	__asm__ volatile("" ::"r"(deep) : "memory");
	eachLine(&M, "/proc/self/maps", protectLine, NULL);
	catchFaults(altStack[0], sizeof altStack[0]);
	str(&out, "image");
	endLine(&M);
	if (has('X'))
		apart(&M);
	else if (has('V'))
		fill(&M);
	else
		for (; M.at < S.calls; M.at++)
			step(&M);
	for (int i = 0; i < 8; i++)
		if (S.seg[i] >= 0)
			CALL(SYS_shmctl, S.seg[i], IPC_RMID, 0);
	str(&out, S.depth ? "end of an image\n" : "end\n");
	flush(&out);
	CALL(SYS_exit_group, 0);
}
