package ptrace

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
)

// keepRegs makes mmap calls and compares every register but rax, rcx and r11 afterwards.
const keepRegs = `
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>
#include <signal.h>
#include <sys/time.h>
static volatile long ticks;
static void tick(int s) { ticks++; }
static long bad;
static long call(long nr, long want[6], long got[6]) {
	register long r10 __asm__("r10") = want[3];
	register long r8 __asm__("r8") = want[4];
	register long r9 __asm__("r9") = want[5];
	long rdi = want[0], rsi = want[1], rdx = want[2], ret = nr;
	__asm__ volatile("syscall" : "+a"(ret), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8), "+r"(r9) : : "rcx", "r11", "memory");
	got[0] = rdi; got[1] = rsi; got[2] = rdx; got[3] = r10; got[4] = r8; got[5] = r9;
	if (memcmp(want, got, 48)) bad++;
	return ret;
}
int main(int c, char **v) {
	int n = atoi(v[1]);
	long got[6];
	if (c > 2) {
		struct itimerval it = {{0, 200}, {0, 200}};
		signal(SIGALRM, tick);
		setitimer(ITIMER_REAL, &it, 0);
	}
	for (int i = 0; i < n; i++) {
		long want[6] = {0, 4096 + 8192 * (i % 3), 3, 0x22, -1, 0};
		long p = call(9, want, got);
		if (p < 0 && p > -4096) { printf("mmap: %ld\n", p); return 1; }
		*(char *)p = 1;
		long un[6] = {p, want[1], 7, 8, 9, 10};
		long r = call(11, un, got);
		if (r) { printf("munmap: %ld\n", r); return 1; }
	}
	if (c > 2) while (!ticks) ;
	printf("%ld\n", bad);
	return 0;
}
`

func keep(t testing.TB, args ...string) Config {
	bin := compile(t, "keepregs", keepRegs)
	return Config{Path: bin, Args: append([]string{bin}, args...)}
}

func TestRewrite(t *testing.T) {
	const hint = 0x7000_0000_0000
	for _, signals := range []string{"", "x"} {
		next, right := uint64(hint), 0
		c := &counter{}
		c.enter = func(_ int, call *Syscall) Action {
			if call.Mechanism == Notification || call.Args[3] != 0x22 {
				return Action{Kind: Continue}
			}
			a := Action{Kind: Rewrite, Args: call.Args}
			next += 1 << 20
			a.Args[0] = next
			a.Args[3] |= unix.MAP_FIXED_NOREPLACE
			switch next >> 20 % 4 {
			case 0: // all registers
				a.Args = [6]uint64{next, call.Args[1], 1 | 2, call.Args[3] | unix.MAP_FIXED_NOREPLACE | unix.MAP_NORESERVE, 5, 0}
			case 1: // nothing at all
				a.Args = call.Args
				next -= 1 << 20
			}
			return a
		}
		c.exit = func(_ int, call *Syscall, ret int64) int64 {
			if uint64(ret) == next || call.Args[0] == 0 {
				right++
			}
			return ret
		}
		args := []string{"1000"}
		if signals != "" {
			args = append(args, signals)
		}
		wantOut(t, run(t, keep(t, args...).with(c)), "0\n", 0)
		if n := c.get("enter 11"); n < 1000 || right < 1000 {
			t.Errorf("%d munmap, %d mmap with the right address", n, right)
		}
	}
}

// TestRewriteToAnotherCall has getppid answered by getpid, and the registers kept.
func TestRewriteToAnotherCall(t *testing.T) {
	const source = `
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main() {
	register long rdi asm("rdi") = 11, rsi asm("rsi") = 12;
	long r = SYS_getppid;
	asm volatile("syscall" : "+a"(r), "+r"(rdi), "+r"(rsi) : : "rcx", "r11", "memory");
	printf("%d %ld %ld\n", r == getpid(), rdi, rsi);
	return 0;
}`
	c := &counter{enter: func(_ int, call *Syscall) Action {
		if call.Nr != unix.SYS_GETPPID {
			return Action{Kind: Continue}
		}
		return Action{Kind: Rewrite, Nr: unix.SYS_GETPID, Args: [6]uint64{1, 2, 3}}
	}}
	cfg := Config{Path: compile(t, "another", source), Filter: filter(t, seccomp.Rule{Nr: unix.SYS_GETPPID, Act: seccomp.Trace})}
	wantOut(t, run(t, cfg.with(c)), "1 11 12\n", 0)
	if n := c.get(fmt.Sprint("exit ", unix.SYS_GETPPID)); n != 1 {
		t.Errorf("its end was reported %d times", n)
	}
}

// TestSignalsDuringCalls has each call decided exactly once although signals arrive all the time.
func TestSignalsDuringCalls(t *testing.T) {
	c := &counter{enter: func(_ int, call *Syscall) Action {
		if call.Mechanism == Stop {
			return Action{Kind: Finish}
		}
		return Action{Kind: Continue}
	}}
	base := &counter{}
	wantOut(t, run(t, keep(t, "0").with(base)), "0\n", 0)
	wantOut(t, run(t, keep(t, "3000", "x").with(c)), "0\n", 0)
	for _, nr := range []string{"enter 9", "enter 11"} {
		if n := c.get(nr) - base.get(nr); n != 3000 {
			t.Errorf("%s decided %d times, want 3000", nr, n)
		}
	}
	if c.get("exit 9") != c.get("enter 9") {
		t.Error(c.counts)
	}
}

func TestReturn(t *testing.T) {
	// munmap is a notification, mmap a stop.
	for nr, want := range map[uint64]string{unix.SYS_MMAP: "mmap: -12\n", unix.SYS_MUNMAP: "munmap: -12\n"} {
		c := &counter{enter: func(_ int, call *Syscall) Action {
			if call.Nr == nr && (nr == unix.SYS_MUNMAP && call.Args[2] == 7 || call.Args[1] == 4096 && call.Args[3] == 0x22 && call.Args[5] == 0) {
				return Action{Kind: Return, Value: -int64(unix.ENOMEM)}
			}
			return Action{Kind: Continue}
		}}
		res := run(t, keep(t, "1").with(c))
		if nr == unix.SYS_MMAP && res.status.ExitStatus() == 127 {
			continue // the dynamic linker maps a page like this
		}
		wantOut(t, res, want, 1)
	}
	// A result can be replaced at the exit, too.
	c := &counter{enter: func(_ int, call *Syscall) Action {
		if call.Nr == unix.SYS_MMAP && call.Args[3] == 0x22 {
			return Action{Kind: Finish}
		}
		return Action{Kind: Continue}
	}}
	c.exit = func(_ int, call *Syscall, ret int64) int64 {
		if call.Args[1] == 4096+8192*2 {
			return -11
		}
		return ret
	}
	wantOut(t, run(t, keep(t, "3").with(c)), "mmap: -11\n", 1)
}

// TestHandlerFails: whatever the Handler does wrong ends the tree with an error that names it.
func TestHandlerFails(t *testing.T) {
	isNr := func(nr uint64) func(*Syscall) bool {
		return func(call *Syscall) bool { return call.Nr == nr }
	}
	bomb := func(int, *Syscall) Action { panic("bomb") }
	answer := func(k ActionKind) func(int, *Syscall) Action {
		return func(int, *Syscall) Action { return Action{Kind: k} }
	}
	for name, tt := range map[string]struct {
		when func(*Syscall) bool
		do   func(int, *Syscall) Action
		want string
	}{
		"panic at stop":           {isNr(unix.SYS_MMAP), bomb, "bomb"},
		"panic at notification":   {isNr(unix.SYS_MUNMAP), bomb, "bomb"},
		"finish a notification":   {isNr(unix.SYS_MUNMAP), answer(Finish), "action"},
		"unknown action":          {isNr(unix.SYS_MMAP), answer(77), "action"},
		"unknown action notified": {isNr(unix.SYS_MUNMAP), answer(77), "action"},
		"kill at stop":            {isNr(unix.SYS_MMAP), answer(Kill), ""},
		"kill at notification":    {isNr(unix.SYS_MUNMAP), answer(Kill), ""},
	} {
		t.Run(name, func(t *testing.T) {
			var n int
			c := &counter{}
			var mu sync.Mutex
			c.enter = func(tid int, call *Syscall) Action {
				mu.Lock()
				defer mu.Unlock()
				if tt.when(call) {
					if n++; n == 40 {
						return tt.do(tid, call)
					}
				}
				return Action{Kind: Continue}
			}
			_, finish := start(t, shell("while :; do /bin/true; done & while :; do /bin/true; done").with(c))
			res := finish()
			if !res.status.Signaled() || res.status.Signal() != unix.SIGKILL {
				t.Errorf("status %#x", uint32(res.status))
			}
			var e *Error
			if tt.want == "" && res.err != nil || tt.want != "" && (!errors.As(res.err, &e) || !strings.Contains(res.err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", res.err, tt.want)
			}
		})
	}
	for name, set := range map[string]func(*counter){
		"created": func(c *counter) { c.created = func(int, int, uint64) { panic("bomb") } },
		"exec": func(c *counter) {
			c.exec = func(int, int) {
				if c.get("exec") > 1 {
					panic("bomb")
				}
			}
		},
		"exited": func(c *counter) { c.exited = func(int, unix.WaitStatus) { panic("bomb") } },
		"exit": func(c *counter) {
			c.enter = func(_ int, call *Syscall) Action {
				return Action{Kind: map[Mechanism]ActionKind{Stop: Finish}[call.Mechanism]}
			}
			c.exit = func(int, *Syscall, int64) int64 { panic("bomb") }
		},
	} {
		c := &counter{}
		set(c)
		_, finish := start(t, shell("while :; do /bin/true; done").with(c))
		if res := finish(); res.err == nil || !strings.Contains(res.err.Error(), "bomb") {
			t.Errorf("%s: got %v", name, res.err)
		}
	}
}

// TestUntraced: a thread that has got away is found by its first notification.
func TestUntraced(t *testing.T) {
	const source = `
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <unistd.h>
#include <sys/mman.h>
static char stack[65536];
static int child(void *p) { munmap((void *)0x10000, 4096); pause(); return 0; }
int main() { clone(child, stack + sizeof stack, CLONE_UNTRACED|SIGCHLD, 0); pause(); }`
	_, finish := start(t, Config{Path: compile(t, "untraced", source)}.with(&counter{}))
	if res := finish(); res.err == nil || !strings.Contains(res.err.Error(), "not traced") {
		t.Errorf("got %v", res.err)
	}
}

// TestOtherABI: int 0x80 is refused by the filter.
func TestOtherABI(t *testing.T) {
	const source = `
#include <stdio.h>
int main(int c, char **v) {
	long r = c > 1 ? 20 : 0x40000000 + 39;
	if (c > 1) __asm__ volatile("int $0x80" : "+a"(r));
	else __asm__ volatile("syscall" : "+a"(r) : : "rcx", "r11");
	printf("%d\n", (int)r);
	return 0;
}`
	bin := compile(t, "abi", source)
	wantOut(t, run(t, Config{Path: bin}.with(&counter{})), "-38\n", 0)
	if exec.Command(bin, "int80").Run() != nil {
		t.Skip("this kernel has no 32-bit calls")
	}
	wantOut(t, run(t, Config{Path: bin, Args: []string{bin, "int80"}}.with(&counter{})), "-38\n", 0)
}

func TestReadMemory(t *testing.T) {
	var got string
	c := &counter{}
	c.enter = func(tid int, call *Syscall) Action {
		b := make([]byte, 5)
		if err := ReadMemory(tid, call.Args[1], b); err != nil {
			t.Error(err)
		}
		if err := ReadMemory(tid, 8, b); !errors.Is(err, unix.EFAULT) {
			t.Errorf("unmapped: %v", err)
		}
		if err := ReadMemory(tid, call.Args[1], nil); err != nil {
			t.Error(err)
		}
		n, err := throughMem(tid, os.O_RDONLY, func(f *os.File) (int, error) { return f.ReadAt(b, int64(call.Args[1])) })
		if n != 5 || err != nil {
			t.Error(n, err)
		}
		got = string(b)
		return Action{Kind: Continue}
	}
	f, err := seccomp.Filter{Rules: []seccomp.Rule{{Nr: unix.SYS_WRITE, Act: seccomp.Trace}}}.Export()
	if err != nil {
		t.Fatal(err)
	}
	cfg := shell("echo hello")
	cfg.Filter = f
	wantOut(t, run(t, cfg.with(c)), "hello\n", 0)
	if got != "hello" {
		t.Errorf("read %q", got)
	}
}

func init() {
	guests["supervisor"] = func([]string) int {
		t := new(testing.T)
		c := &counter{created: func(_, child int, _ uint64) { os.Stdout.WriteString(strconv.Itoa(child) + "\n") }}
		tr, err := begin(Config{Path: "/bin/sh", Args: []string{"sh", "-c", "trap '' TERM HUP INT; (sleep 1000; :) & (setsid sleep 1000; :) & while :; do /bin/true; done"},
			Filter: filter(t), Handler: c})
		if err != nil {
			return 1
		}
		os.Stdout.WriteString(strconv.Itoa(tr.Pid()) + "\n")
		tr.Wait()
		return 0
	}
}

// TestSupervisorKilled: nothing of the tree outlives its supervisor.
func TestSupervisorKilled(t *testing.T) {
	cfg := guest(t, "supervisor")
	for range 5 {
		cmd := exec.Command(cfg.Path)
		cmd.Env = cfg.Env
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var pids []int
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			pid, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatal(lines.Text())
			}
			if pids = append(pids, pid); len(pids) == 50 {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		if len(pids) < 50 {
			t.Fatalf("%d processes", len(pids))
		}
		// The pipe has no writer left, but ends are seen a moment later.
		for end := time.Now().Add(hang); ; time.Sleep(time.Millisecond) {
			alive := 0
			for _, pid := range pids {
				b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
				if err == nil && !strings.Contains(string(b), ") Z ") && strings.Contains(string(b), "(s") {
					alive++
				}
			}
			if alive == 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d processes live on", alive)
			}
		}
	}
}
