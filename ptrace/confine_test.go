package ptrace

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
)

// confining asks for a filter by calls of getppid (at its entry) or getpgid (at its exit), and makes
// calls of getsid from two threads, which the filter stops. A timer's signal comes all the time.
const confining = `
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile int go, done, marks;
static void tick(int s) { marks++; }
static void *other(void *a) {
	while (!go) ;
	for (int i = 0; i < 5; i++) syscall(SYS_getsid, 0);
	done = 1;
	return 0;
}
static unsigned long vdso(void) {
	unsigned long sum = 0, a, b;
	char line[256];
	FILE *f = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof line, f))
		if (strstr(line, "[vdso]") && sscanf(line, "%lx-%lx", &a, &b) == 2)
			for (; a < b; a++) sum = sum * 31 + *(unsigned char *)a;
	fclose(f);
	return sum;
}
static long call(long nr, long want[6]) {
	register long r10 __asm__("r10") = want[3];
	register long r8 __asm__("r8") = want[4];
	register long r9 __asm__("r9") = want[5];
	long rdi = want[0], rsi = want[1], rdx = want[2], ret = nr;
	__asm__ volatile("syscall" : "+a"(ret), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8), "+r"(r9) : : "rcx", "r11", "memory");
	long got[6] = {rdi, rsi, rdx, r10, r8, r9};
	if (memcmp(want, got, 48)) printf("registers differ\n");
	return ret;
}
int main(int c, char **v) {
	pthread_t t;
	pthread_create(&t, 0, other, 0);
	struct itimerval it = {{0, 50}, {0, 50}};
	signal(SIGALRM, tick);
	if (c > 2) setitimer(ITIMER_REAL, &it, 0);
	unsigned long before = vdso();
	for (int i = 0; i < 5; i++) syscall(SYS_getsid, 0); // seen by nobody
	long args[6] = {0, 2, 3, 4, 5, 6};
	long got = call(atoi(v[1]), args), want = atoi(v[1]) == SYS_getppid ? getppid() : getpgid(0);
	if (got != want) printf("%ld is not %ld\n", got, want);
	go = 1;
	for (int i = 0; i < 5; i++) syscall(SYS_getsid, 0);
	while (!done) ;
	if (!fork()) {
		for (int i = 0; i < 5; i++) syscall(SYS_getsid, 0);
		_exit(0);
	}
	wait(0);
	if (vdso() != before) printf("the vdso has changed\n");
	sigset_t set;
	sigprocmask(SIG_BLOCK, 0, &set);
	if (sigismember(&set, SIGALRM)) printf("signals are blocked\n");
	printf("ok\n");
	return 0;
}
`

// TestConfine: at the entry and the exit of a call a thread is made to load a filter for its group,
// and notices nothing of it. The filter is inherited.
func TestConfine(t *testing.T) {
	more, err := seccomp.Filter{Default: seccomp.Allow, Rules: []seccomp.Rule{{Nr: unix.SYS_GETSID, Act: seccomp.Trace}}}.Export()
	if err != nil {
		t.Fatal(err)
	}
	bin := compile(t, "confining", confining)
	for name, x := range map[string]struct {
		nr      uint64
		arg     string
		signals []string
	}{
		"at entry":               {unix.SYS_GETPPID, "110", nil},
		"at exit":                {unix.SYS_GETPGID, "121", nil},
		"at entry, with signals": {unix.SYS_GETPPID, "110", []string{"x"}},
		"at exit, with signals":  {unix.SYS_GETPGID, "121", []string{"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				var mu sync.Mutex
				var tr *Tracer
				ready := make(chan struct{})
				asked, answered, seen := 0, 0, 0
				c := &counter{}
				c.enter = func(_ int, call *Syscall) Action {
					mu.Lock()
					defer mu.Unlock()
					switch call.Nr {
					case unix.SYS_GETSID:
						seen++
					case unix.SYS_GETPPID:
						if asked++; asked == 1 {
							return Action{Kind: Confine, Filter: more}
						}
					case unix.SYS_GETPGID:
						return Action{Kind: Finish}
					}
					return Action{Kind: Continue}
				}
				c.exit = func(tid int, call *Syscall, ret int64) int64 {
					<-ready
					mu.Lock()
					defer mu.Unlock()
					switch call.Nr {
					case unix.SYS_SECCOMP:
						answered++
						if ret != 0 {
							t.Errorf("seccomp returned %d", ret)
						}
					case unix.SYS_GETPGID:
						if asked++; asked == 1 {
							tr.Confine(tid, more)
						}
					}
					return ret
				}
				cfg := Config{Path: bin, Args: append([]string{bin, x.arg}, x.signals...), Handler: c, Filter: filter(t,
					seccomp.Rule{Nr: x.nr, Act: seccomp.Trace}, seccomp.Rule{Nr: unix.SYS_SECCOMP, Act: seccomp.Trace})}
				var finish func() result
				tr, finish = start(t, cfg)
				close(ready)
				res := finish()
				c.check(t)
				wantOut(t, res, "ok\n", 0)
				if answered != 1 || seen != 15 {
					t.Fatalf("%d filters, and %d calls stopped; want 1, 15", answered, seen)
				}
			}
		})
	}
}
