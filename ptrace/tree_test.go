package ptrace

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
)

const execThread = `
#include <pthread.h>
#include <unistd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
static char **av;
static void *busy(void *p) {
	for (;;) { void *m = mmap(0, 4096, 3, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0); munmap(m, 4096); }
	return p;
}
static void *ex(void *p) {
	usleep(1000);
	if (!strcmp(av[1], "0")) execl("/bin/echo", "echo", "done", NULL);
	char n[16]; snprintf(n, sizeof n, "%d", av[1][0] - '0' - 1);
	execl(av[0], av[0], n, NULL);
	return p;
}
int main(int c, char **v) {
	pthread_t t;
	av = v;
	for (int i = 0; i < 5; i++) pthread_create(&t, 0, busy, 0);
	pthread_create(&t, 0, ex, 0);
	for (int i = 0; i < 5; i++) pthread_create(&t, 0, busy, 0);
	if (v[1][0] & 1) pthread_exit(0); // the leader goes first
	pthread_join(t, 0);
	for (;;) pause();
}
`

func TestExecByAnotherThread(t *testing.T) {
	bin := compile(t, "execthread", execThread)
	for range 5 {
		differ := 0
		c := &counter{}
		c.exec = func(tid, former int) {
			if tid != former {
				differ++
			}
		}
		wantOut(t, run(t, Config{Path: bin, Args: []string{bin, "7"}}.with(c)), "done\n", 0)
		if differ != 8 {
			t.Errorf("%d execs by threads other than the leader, want 8", differ)
		}
	}
}

const manyThreads = `
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
static void *f(void *p) {
	for (int i = 0; i < 20; i++) {
		char *m = mmap(0, 8192, 3, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);
		m[4096] = 1;
		if (munmap(m, 8192)) return p;
	}
	return 0;
}
int main() {
	pthread_t t[200];
	int bad = 0;
	for (int i = 0; i < 200; i++) if (pthread_create(&t[i], 0, f, &bad)) return 1;
	for (int i = 0; i < 200; i++) { void *r; pthread_join(t[i], &r); if (r) bad++; }
	printf("%d\n", bad);
	return 0;
}
`

func TestThreads(t *testing.T) {
	bin := compile(t, "threads", manyThreads)
	for _, kind := range []ActionKind{Continue, Finish} {
		c := &counter{enter: func(_ int, call *Syscall) Action {
			if call.Mechanism == Stop {
				return Action{Kind: kind}
			}
			return Action{Kind: Continue}
		}}
		wantOut(t, run(t, Config{Path: bin}.with(c)), "0\n", 0)
		if n := c.get("created"); n != 200 {
			t.Errorf("%d threads reported", n)
		}
		if n := c.get("enter 9"); n < 4000 {
			t.Errorf("%d calls of mmap reported", n)
		}
	}
}

const forkTree = `
#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/wait.h>
int main(int c, char **v) {
	int depth = atoi(v[1]);
	for (int d = 0; d < depth; d++)
		if (fork() == 0) d = d; // both go on
	free(malloc(1 << 20));
	while (wait(0) > 0) ;
	(void)!write(1, "x", 1);
	return 0;
}
`

func TestForkTree(t *testing.T) {
	bin := compile(t, "forktree", forkTree)
	c := &counter{}
	wantOut(t, run(t, Config{Path: bin, Args: []string{bin, "8"}}.with(c)), strings.Repeat("x", 256), 0)
	if n := c.get("created"); n != 255 {
		t.Errorf("%d processes reported", n)
	}
}

// TestForkBombKilled kills a tree that grows as fast as it can.
func TestForkBombKilled(t *testing.T) {
	for range 5 {
		c := &counter{}
		enough := make(chan bool)
		var once sync.Once
		c.created = func(int, int, uint64) {
			if c.get("created") == 100 {
				once.Do(func() { close(enough) })
			}
		}
		tr, finish := start(t, shell("ulimit -u 2000; f() { f & f & wait; }; f").with(c))
		<-enough
		tr.Kill()
		tr.Kill()
		res := finish()
		if res.err != nil || !res.status.Signaled() || res.status.Signal() != unix.SIGKILL {
			t.Errorf("%#x, %v", uint32(res.status), res.err)
		}
		c.check(t)
	}
}

const jobControl = `
#include <stdio.h>
#include <unistd.h>
#include <signal.h>
#include <sys/wait.h>
#include <sys/mman.h>
static volatile sig_atomic_t conts;
static void cont(int s) { conts++; }
int main() {
	for (int i = 0; i < 20; i++) {
		int st, p[2];
		pipe(p);
		pid_t k = fork();
		if (!k) {
			// In an orphaned group, which the tests may run in, SIGTSTP would be ignored.
			setpgid(0, 0);
			signal(SIGCONT, cont);
			write(p[1], "r", 1);
			while (!conts) { void *m = mmap(0, 4096, 3, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0); munmap(m, 4096); }
			_exit(40 + conts);
		}
		char b; read(p[0], &b, 1);
		kill(k, i & 1 ? SIGSTOP : SIGTSTP);
		if (waitpid(k, &st, WUNTRACED) != k || !WIFSTOPPED(st)) { printf("not stopped %x\n", st); return 1; }
		if (WSTOPSIG(st) != (i & 1 ? SIGSTOP : SIGTSTP)) { printf("stopped by %d\n", WSTOPSIG(st)); return 1; }
		if (waitpid(k, &st, WUNTRACED|WNOHANG) != 0) { printf("did not stay stopped\n"); return 1; }
		kill(k, SIGCONT);
		if (waitpid(k, &st, WCONTINUED) != k || !(WIFCONTINUED(st) || WEXITSTATUS(st) == 41)) { printf("not continued %x\n", st); return 1; }
		if (WIFCONTINUED(st) && waitpid(k, &st, 0) != k) { printf("not ended\n"); return 1; }
		if (!WIFEXITED(st) || WEXITSTATUS(st) != 41) { printf("ended with %x\n", st); return 1; }
		close(p[0]); close(p[1]);
	}
	printf("ok\n");
	return 0;
}
`

func TestJobControl(t *testing.T) {
	bin := compile(t, "jobcontrol", jobControl)
	if out, err := exec.Command(bin).CombinedOutput(); err != nil {
		t.Fatalf("natively: %v %s", err, out)
	}
	wantOut(t, run(t, Config{Path: bin}.with(&counter{})), "ok\n", 0)
}

// TestStops stops the first process, which its supervisor learns.
func TestStops(t *testing.T) {
	tr, finish := start(t, shell("echo $(echo ready); kill -STOP $$; echo again").with(&counter{}))
	if sig := <-tr.Stops(); sig != unix.SIGSTOP {
		t.Errorf("stopped by %v", sig)
	}
	if err := tr.Signal(unix.SIGCONT); err != nil {
		t.Error(err)
	}
	wantOut(t, finish(), "ready\nagain\n", 0)
	if err := tr.Signal(unix.SIGCONT); err != os.ErrProcessDone {
		t.Errorf("signal after the end: %v", err)
	}
	tr.Kill()
	tr.Unpark(tr.Pid())
	tr.Prove(tr.Pid())
}

const vforks = `
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <sys/syscall.h>
static volatile int shared;
static int child(void *p) { shared++; return 0; }
int main() {
	static char stack[65536];
	int st;
	for (int i = 0; i < 50; i++) {
		pid_t p = vfork();
		if (!p) { shared++; if (i & 1) execl("/bin/true", "true", NULL); _exit(0); }
		waitpid(p, &st, 0);
		if (st) return 1;
	}
	pid_t p = clone(child, stack + sizeof stack, CLONE_VM|SIGCHLD, 0); // a fork event, with CLONE_VM
	waitpid(p, &st, 0);
	p = clone(child, stack + sizeof stack, CLONE_VFORK|SIGCHLD, 0); // a vfork event, without
	waitpid(p, &st, 0);
	p = clone(child, stack + sizeof stack, CLONE_VM, 0); // a clone event, a process
	waitpid(p, &st, __WALL);
	p = clone(child, stack + sizeof stack, CLONE_PARENT|SIGCHLD, 0); // our sibling
	printf("%d\n", shared);
	return 0;
}
`

func TestCloneFlags(t *testing.T) {
	bin := compile(t, "vforks", vforks)
	var flags []uint64
	c := &counter{created: func(_, _ int, f uint64) { flags = append(flags, f) }}
	res := run(t, Config{Path: bin}.with(c))
	wantOut(t, res, "52\n", 0)
	if len(flags) != 54 {
		t.Fatalf("%d children", len(flags))
	}
	for i, f := range flags {
		want := uint64(unix.CLONE_VM | unix.CLONE_VFORK)
		if i >= 50 {
			want = []uint64{unix.CLONE_VM, unix.CLONE_VFORK, unix.CLONE_VM, unix.CLONE_PARENT}[i-50]
		}
		if f != want {
			t.Errorf("child %d has flags %#x, want %#x", i, f, want)
		}
	}
}

// TestKillAtRandom has processes killed wherever they are.
func TestKillAtRandom(t *testing.T) {
	threads := compile(t, "threads", manyThreads)
	ex := compile(t, "execthread", execThread)
	rounds := 6
	if testing.Short() {
		rounds = 3
	}
	for _, exitStops := range []bool{false, true} {
		for round := range rounds {
			c := &counter{}
			c.enter = func(_ int, call *Syscall) Action {
				if call.Mechanism == Stop {
					return Action{Kind: []ActionKind{Continue, Finish}[rand.N(2)]}
				}
				return Action{Kind: Continue}
			}
			cfg := shell(fmt.Sprintf(`exec 2>/dev/null; for i in 1 2 3 4 5 6 7 8 9 10; do %s & %s 3 & (/bin/true; sh -c '/bin/true & /bin/true | cat' &) done; wait; wait`, threads, ex))
			cfg.ExitStops = exitStops
			tr, finish := start(t, cfg.with(c))
			stop := make(chan bool)
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					c.mu.Lock()
					n, tids := 0, make([]int, 0, len(c.live))
					for tid := range c.live {
						tids = append(tids, tid)
					}
					c.mu.Unlock()
					for _, tid := range tids {
						if rand.N(20) == 0 && (tid != tr.Pid() || rand.N(200) == 0) {
							unix.Kill(tid, unix.SIGKILL)
							n++
						}
					}
					time.Sleep(time.Duration(rand.N(3000)) * time.Microsecond)
				}
			})
			res := finish()
			close(stop)
			wg.Wait()
			if res.err != nil {
				t.Fatalf("round %d: %v", round, res.err)
			}
			c.check(t)
		}
	}
}

// TestSeveral runs trees side by side with children of our own.
func TestSeveral(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for j := range 10 {
				word := fmt.Sprintf("%d.%d", i, j)
				if i%2 == 0 {
					c := &counter{}
					wantOut(t, run(t, shell("for i in 1 2 3; do /bin/true & done; wait; echo "+word+"; exit 4").with(c)), word+"\n", 4)
				} else {
					out, err := exec.Command("/bin/sh", "-c", "/bin/true & wait; echo "+word+"; exit 4").Output()
					if string(out) != word+"\n" || err == nil || err.Error() != "exit status 4" {
						t.Errorf("our own child: %q, %v", out, err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestFirst tells of the first process's end before its descendants'.
func TestFirst(t *testing.T) {
	tr, finish := start(t, shell("cat /dev/zero >/dev/null 2>&1 & exit 6").with(&counter{}))
	if ws := <-tr.First(); ws.ExitStatus() != 6 {
		t.Errorf("status %#x", uint32(ws))
	}
	tr.Kill()
	wantOut(t, finish(), "", 6)
	if _, more := <-tr.First(); more {
		t.Error("a second status")
	}
}

func TestExitStops(t *testing.T) {
	cfg := shell("/bin/true; (exit 3); sh -c 'kill -TERM $$' 2>/dev/null; exit 2")
	cfg.ExitStops = true
	c := &counter{}
	wantOut(t, run(t, cfg.with(c)), "", 2)
	if c.get("exiting") != c.get("exited") {
		t.Error(c.counts)
	}
}

const pidfdWait = `
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int main() {
	int missed = 0;
	for (int i = 0; i < 300; i++) {
		pid_t child = fork();
		if (child == 0) _exit(0);
		struct pollfd p = {syscall(SYS_pidfd_open, child, 0), POLLIN};
		if (poll(&p, 1, -1) != 1) return 1;
		if (waitpid(child, 0, WNOHANG) == 0) { missed++; waitpid(child, 0, 0); }
		close(p.fd);
	}
	printf("%d\n", missed);
	return 0;
}
`

// A wait that stops sees every child that has ended, though it is the tracer who must reap it first.
func TestWaitSeesWhatThePidfdSays(t *testing.T) {
	bin := compile(t, "pidfdwait", pidfdWait)
	cfg := Config{Path: bin, Filter: filter(t, seccomp.Rule{Nr: unix.SYS_WAIT4, Act: seccomp.Trace})}
	wantOut(t, run(t, cfg.with(&counter{})), "0\n", 0)
}
