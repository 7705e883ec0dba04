package ptrace

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// variants runs a test on each path that depends on the host.
func variants(t *testing.T, test func(t *testing.T)) {
	t.Run("plain", test)
	t.Run("no kicker", func(t *testing.T) {
		noKicker = true
		defer func() { noKicker = false }()
		test(t)
	})
	t.Run("before Linux 6.11", func(t *testing.T) {
		old := recvHangsUp
		recvHangsUp = func() bool { return false }
		defer func() { recvHangsUp = old }()
		test(t)
	})
}

// TestParkAndProve parks calls of many threads and has them unparked, and threads proved, from
// within the Handler's methods on either thread and from others.
func TestParkAndProve(t *testing.T) {
	bin := compile(t, "threads", manyThreads)
	variants(t, func(t *testing.T) {
		var tr *Tracer
		ready := make(chan bool)
		var mu sync.Mutex
		parked := map[int]bool{}
		passed := map[int]bool{} // has waited once in this call
		owed := map[int]int{}    // Prove called, Proved awaited
		wake := make(chan int, 1<<16)
		unpark := func(tid int) {
			mu.Lock()
			was := parked[tid]
			delete(parked, tid)
			mu.Unlock()
			if was {
				tr.Unpark(tid)
			}
		}
		prove := func(tid int) {
			mu.Lock()
			owed[tid]++
			mu.Unlock()
			tr.Prove(tid)
		}
		c := &counter{}
		c.enter = func(tid int, call *Syscall) Action {
			<-ready
			mu.Lock()
			if passed[tid] {
				delete(passed, tid)
				mu.Unlock()
				return Action{Kind: Continue}
			}
			var other int
			for p := range parked {
				other = p
				break
			}
			if rand.N(3) != 0 {
				mu.Unlock()
				if other != 0 {
					unpark(other)
					prove(other)
				}
				return Action{Kind: Continue}
			}
			passed[tid], parked[tid] = true, true
			mu.Unlock()
			switch rand.N(3) {
			case 0:
				unpark(tid) // before it is parked
			default:
				wake <- tid
			}
			if other != 0 && rand.N(2) == 0 {
				prove(other)
			}
			return Action{Kind: Park}
		}
		c.exited = func(tid int, _ unix.WaitStatus) {
			mu.Lock()
			delete(owed, tid)
			mu.Unlock()
		}
		c.proved = func(tid int) {
			mu.Lock()
			owed[tid] = 0
			mu.Unlock()
		}
		tr, finish := start(t, Config{Path: bin}.with(c))
		close(ready)
		var wg sync.WaitGroup
		stop := make(chan bool)
		for range 2 {
			wg.Go(func() {
				for {
					select {
					case tid := <-wake:
						if rand.N(2) == 0 {
							prove(tid)
						}
						unpark(tid)
					case <-stop:
						return
					}
				}
			})
		}
		res := finish()
		close(stop)
		wg.Wait()
		if res.err != nil {
			t.Fatal(res.err)
		}
		wantOut(t, res, "0\n", 0)
		c.mu.Lock()
		errs := c.errs
		c.errs = nil
		c.mu.Unlock()
		for _, e := range errs {
			if !strings.HasPrefix(e, "proved of unknown") {
				t.Error(e)
			}
		}
		t.Log(c.get("proved"), "proved")
	})
}

// TestProveIdle proves threads that would not stop of themselves: the Handler is told although
// the program waits for it.
func TestProveIdle(t *testing.T) {
	const source = `
#include <signal.h>
#include <unistd.h>
#include <stdio.h>
#include <sys/mman.h>
int main(int c, char **v) {
	sigset_t all;
	sigfillset(&all);
	if (c > 1) sigprocmask(SIG_BLOCK, &all, 0);
	munmap((void *)0x10000, 4096);
	char b;
	int n = read(0, &b, 1);
	printf("%d %c\n", n, b);
	return 0;
}`
	bin := compile(t, "idle", source)
	for _, args := range [][]string{{bin}, {bin, "block"}} {
		for _, inside := range []bool{true, false} {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			out, ow, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			var tr *Tracer
			ready, called, proved := make(chan bool), make(chan int, 1), make(chan int, 100)
			c := &counter{}
			c.enter = func(tid int, call *Syscall) Action {
				if call.Nr == unix.SYS_MUNMAP && call.Args[0] == 0x10000 {
					<-ready
					if inside {
						tr.Prove(tid) // by the notifications' thread
					}
					called <- tid
				}
				return Action{Kind: Continue}
			}
			c.proved = func(tid int) { proved <- tid }
			tr, err = begin(Config{Path: bin, Args: args, Files: []*os.File{r, ow, ow}, Filter: filter(t), Handler: c})
			r.Close()
			ow.Close()
			if err != nil {
				t.Fatal(err)
			}
			close(ready)
			tid := <-called
			for range 20 {
				if !inside {
					tr.Prove(tid)
				}
				if got := <-proved; got != tid {
					t.Errorf("%d proved", got)
				}
				if inside {
					break
				}
			}
			if err := tr.Signal(unix.SIGSTOP); err != nil {
				t.Error(err)
			}
			<-tr.Stops()
			for range 3 { // in a group stop
				tr.Prove(tid)
				<-proved
			}
			tr.Signal(unix.SIGCONT)
			w.WriteString("y")
			b, _ := io.ReadAll(out)
			ws, err := tr.Wait()
			if string(b) != "1 y\n" || ws != 0 || err != nil {
				t.Errorf("%q, %#x, %v", b, uint32(ws), err)
			}
			w.Close()
			out.Close()
			c.check(t)
		}
	}
}

// TestProveUnseen proves a thread that waits in a call that gives up with EINTR for any stop (signal(7)):
// the program does not notice.
func TestProveUnseen(t *testing.T) {
	const source = `
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
int main(void) {
	struct epoll_event event = {.events = EPOLLIN};
	int ep = epoll_create1(0);
	epoll_ctl(ep, EPOLL_CTL_ADD, 0, &event);
	munmap((void *)0x10000, 4096);
	int n = epoll_wait(ep, &event, 1, -1);
	printf("%d %d\n", n, n < 0 ? errno : 0);
	return 0;
}`
	bin := compile(t, "unseen", source)
	variants(t, func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		out, ow, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		proved := make(chan int, 1)
		c := &counter{proved: func(tid int) { proved <- tid }}
		tr, err := begin(Config{Path: bin, Args: []string{bin}, Files: []*os.File{r, ow, ow}, Filter: filter(t), Handler: c})
		r.Close()
		ow.Close()
		if err != nil {
			t.Fatal(err)
		}
		for range 5 { // the first time, and when there is a kicker
			waitInCall(t, tr.Pid(), unix.SYS_EPOLL_WAIT)
			tr.Prove(tr.Pid())
			<-proved
		}
		w.WriteString("y")
		b, _ := io.ReadAll(out)
		if ws, err := tr.Wait(); string(b) != "1 0\n" || ws != 0 || err != nil {
			t.Errorf("%q, %#x, %v", b, uint32(ws), err)
		}
		c.check(t)
	})
}

// waitInCall returns when the thread sleeps in call nr.
func waitInCall(t *testing.T, tid int, nr uint64) {
	want := strconv.FormatUint(nr, 10)
	for {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", tid))
		if err != nil {
			t.Fatal(err)
		}
		if now, _, _ := strings.Cut(string(b), " "); now == want && readStatus(tid).line("State") == "S (sleeping)" {
			return
		}
		runtime.Gosched()
	}
}
