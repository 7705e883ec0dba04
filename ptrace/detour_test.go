package ptrace

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
)

// detouring maps pages while a timer's signal comes all the time, and looks at what a call may not
// change. With an argument another process stops and continues it all the time, too.
const detouring = `
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static volatile int marks;
static void tick(int s) { marks++; }
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
	struct itimerval it = {{0, 50}, {0, 50}};
	pid_t self = getpid(), other = 0;
	if (c > 1 && !(other = fork())) {
		struct timespec ts = {0, 200000};
		for (int i = 0; i < 100; i++) {
			kill(self, SIGSTOP), nanosleep(&ts, 0), kill(self, SIGCONT), nanosleep(&ts, 0);
		}
		_exit(0);
	}
	signal(SIGALRM, tick);
	setitimer(ITIMER_REAL, &it, 0);
	for (int i = 0; i < 100; i++) {
		long args[6] = {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0};
		long a = call(SYS_mmap, args);
		if (a < 0 && a > -4096) printf("mmap: %ld\n", a);
		else if (*(char *)a) printf("not empty\n"); // it may be read
	}
	long big[6] = {0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0};
	printf("%ld\n", call(SYS_mmap, big));
	memset(&it, 0, sizeof it), setitimer(ITIMER_REAL, &it, 0);
	sigset_t set;
	sigprocmask(SIG_BLOCK, 0, &set);
	if (sigismember(&set, SIGALRM)) printf("signals are blocked\n");
	if (other) waitpid(other, 0, 0);
	return 0;
}
`

// TestDetour: after each mmap a thread is made to make another call, or two, which are decided as its
// own are, and the program sees only what it is to see.
func TestDetour(t *testing.T) {
	bin := compile(t, "detouring", detouring)
	for name, args := range map[string][]string{"signals": nil, "stops": {"x"}} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var tr *Tracer
			ready := make(chan struct{})
			decided, ended, mapped := 0, 0, int64(0)
			c := &counter{}
			c.enter = func(_ int, call *Syscall) Action {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case call.Nr == unix.SYS_MMAP && call.Args[3] == unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE:
					return Action{Kind: Finish}
				case call.Nr == unix.SYS_MPROTECT && call.Args[0] == uint64(mapped) && call.Args[2] == unix.PROT_READ:
					decided++
					if call.Args[1] == 1<<20 {
						return Action{Kind: Return, Value: -int64(unix.EACCES)}
					}
				}
				return Action{Kind: Continue}
			}
			c.exit = func(tid int, call *Syscall, ret int64) int64 {
				<-ready
				mu.Lock()
				defer mu.Unlock()
				switch call.Nr {
				case unix.SYS_MMAP:
					mapped = ret
					tr.Detour(tid, unix.SYS_MPROTECT, [6]uint64{uint64(ret), call.Args[1], unix.PROT_READ})
				case unix.SYS_MPROTECT:
					if ended++; ret == -int64(unix.EACCES) {
						tr.Detour(tid, unix.SYS_MUNMAP, [6]uint64{call.Args[0], call.Args[1]})
						return ret
					}
					return mapped
				case unix.SYS_MUNMAP:
					if ret != 0 {
						t.Errorf("munmap: %d", ret)
					}
					return -int64(unix.EACCES)
				}
				return ret
			}
			var finish func() result
			tr, finish = start(t, Config{Path: bin, Args: append([]string{bin}, args...), Handler: c,
				Filter: filter(t, seccomp.Rule{Nr: unix.SYS_GETSID, Act: seccomp.Trace})})
			close(ready)
			res := finish()
			c.check(t)
			wantOut(t, res, "-13\n", 0)
			if decided < ended || ended < 101 {
				t.Errorf("%d detours decided, %d ended; want 101 at least", decided, ended)
			}
		})
	}
}
