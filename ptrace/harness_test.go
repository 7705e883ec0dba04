package ptrace

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
)

// guests are what the test binary does instead of testing when it is its own guest.
var guests = map[string]func(args []string) int{}

const guestEnv = "RUNSBX_TEST_GUEST"

func TestMain(m *testing.M) {
	if name := os.Getenv(guestEnv); name != "" {
		os.Exit(guests[name](os.Args[1:]))
	}
	code := m.Run()
	if cDir != "" {
		os.RemoveAll(cDir)
	}
	os.Exit(code)
}

// hang is the time after which a test that has not ended is taken to hang. Nothing depends on it
// otherwise.
const hang = 2 * time.Minute

// rules is the filter that most tests use: mmap is traced, others notify.
var rules = []seccomp.Rule{
	{Nr: unix.SYS_MMAP, Act: seccomp.Trace},
	{Nr: unix.SYS_MUNMAP, Act: seccomp.Notify},
	{Nr: unix.SYS_MPROTECT, Act: seccomp.Notify},
	{Nr: unix.SYS_BRK, Act: seccomp.Notify},
	{Nr: unix.SYS_CLONE3, Act: seccomp.Errno, Errno: uint16(unix.ENOSYS)},
}

func filter(t testing.TB, extra ...seccomp.Rule) []byte {
	t.Helper()
	b, err := seccomp.Filter{Default: seccomp.Allow, Rules: append(extra, rules...)}.Export()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// counter is a Handler that lets everything pass, counts, and checks the order of reports.
type counter struct {
	enter   func(tid int, call *Syscall) Action           // instead of Continue
	exit    func(tid int, call *Syscall, ret int64) int64 // instead of ret
	created func(parent, child int, flags uint64)         // in addition
	exec    func(tid, former int)
	exited  func(tid int, ws unix.WaitStatus)
	proved  func(tid int)

	signaled func(tid int, sig *Signal)
	again    bool // what Signaled returns

	mu     sync.Mutex
	live   map[int]string // "running", or the method that is being called
	counts map[string]int
	errs   []string
}

func (c *counter) note(format string, a ...any) {
	c.errs = append(c.errs, fmt.Sprintf(format, a...))
}

func (c *counter) count(what string, tid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[what]++
	if c.live[tid] == "" {
		c.note("%s of unknown thread %d", what, tid)
	}
}

func (c *counter) get(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[what]
}

func (c *counter) SyscallEnter(tid int, call *Syscall) Action {
	c.count(fmt.Sprintf("enter %d", call.Nr), tid)
	if c.enter != nil {
		return c.enter(tid, call)
	}
	return Action{Kind: Continue}
}

func (c *counter) SyscallExit(tid int, call *Syscall, ret int64) int64 {
	c.count(fmt.Sprintf("exit %d", call.Nr), tid)
	if c.exit != nil {
		return c.exit(tid, call, ret)
	}
	return ret
}

func (c *counter) Created(parent, child int, flags uint64) {
	c.count("created", parent)
	if c.created != nil {
		c.created(parent, child, flags)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live[child] != "" {
		c.note("%d created twice", child)
	}
	tgid := fmt.Sprint(child)
	if flags&unix.CLONE_THREAD != 0 {
		tgid = c.live[parent]
	}
	c.live[child] = tgid
}

func (c *counter) Exec(tid, former int) {
	c.mu.Lock()
	if c.live == nil {
		c.live = map[int]string{tid: fmt.Sprint(tid)}
	}
	tgid := c.live[former]
	if tgid != fmt.Sprint(tid) {
		c.note("exec of %d, formerly %d of group %s", tid, former, tgid)
	}
	for other, of := range c.live {
		if of == tgid {
			delete(c.live, other)
		}
	}
	c.live[tid] = fmt.Sprint(tid)
	c.mu.Unlock()
	c.count("exec", tid)
	if c.exec != nil {
		c.exec(tid, former)
	}
}

func (c *counter) Signaled(tid int, sig *Signal) bool {
	c.count("signaled", tid)
	if c.signaled != nil {
		c.signaled(tid, sig)
	}
	return c.again
}

func (c *counter) Exiting(tid int) { c.count("exiting", tid) }

func (c *counter) Exited(tid int, ws unix.WaitStatus) {
	c.count("exited", tid)
	if c.exited != nil {
		c.exited(tid, ws)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.live, tid)
}

func (c *counter) Proved(tid int) {
	c.count("proved", tid)
	if c.proved != nil {
		c.proved(tid)
	}
}

// check fails the test when the reports were out of order or are incomplete.
func (c *counter) check(t testing.TB) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.errs {
		t.Error(e)
	}
	if len(c.live) != 0 {
		t.Errorf("threads whose end was not reported: %v", c.live)
	}
}

// result is what became of a program.
type result struct {
	out    string
	status unix.WaitStatus
	err    error
}

// start starts a program whose output is collected; finish waits for it.
func start(t testing.TB, cfg Config) (tr *Tracer, finish func() result) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if cfg.Files == nil {
		cfg.Files = []*os.File{null, w, w}
	}
	if cfg.Filter == nil {
		cfg.Filter = filter(t)
	}
	if cfg.Args == nil {
		cfg.Args = []string{cfg.Path}
	}
	tr, err = begin(cfg)
	w.Close()
	if err != nil {
		r.Close()
		t.Fatal(err)
	}
	out := make(chan string)
	go func() {
		b, _ := io.ReadAll(r)
		r.Close()
		out <- string(b)
	}()
	return tr, func() result {
		t.Helper()
		var res result
		guard := time.AfterFunc(hang, func() {
			b := new(bytes.Buffer)
			tr.mu.Lock()
			for tid, th := range tr.threads {
				fmt.Fprintf(b, "%d: %+v\n", tid, *th)
			}
			fmt.Fprintf(b, "ghosts %v requests %v kicker %d err %v", tr.ghosts, tr.requests, tr.kicker, tr.err)
			tr.mu.Unlock()
			ps, _ := exec.Command("ps", "-eLo", "pid,ppid,lwp,stat,wchan:20,comm").Output()
			panic("hangs:\n" + b.String() + "\n" + string(ps))
		})
		defer guard.Stop()
		res.out = <-out
		res.status, res.err = tr.Wait()
		return res
	}
}

// run runs a program to its end and fails the test if anything but its status is wrong.
func run(t testing.TB, cfg Config) result {
	t.Helper()
	_, finish := start(t, cfg)
	res := finish()
	if res.err != nil {
		t.Fatalf("%v (output %q)", res.err, res.out)
	}
	if c, ok := cfg.Handler.(*counter); ok {
		c.check(t)
	}
	return res
}

func shell(script string) Config {
	return Config{Path: "/bin/sh", Args: []string{"sh", "-c", script}}
}

// guest is the test binary in one of its other roles.
func guest(t testing.TB, name string, args ...string) Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Config{Path: self, Args: append([]string{self}, args...), Env: append(os.Environ(), guestEnv+"="+name)}
}

func (c Config) with(h Handler) Config {
	c.Handler = h
	return c
}

func wantOut(t testing.TB, res result, out string, exit int) {
	t.Helper()
	if res.out != out || !res.status.Exited() || res.status.ExitStatus() != exit {
		t.Errorf("got output %q, status %#x; want %q, exit status %d", res.out, uint32(res.status), out, exit)
	}
}

var (
	cDir  string
	cOnce sync.Mutex
)

// compile compiles a C program and returns its path.
func compile(t testing.TB, name, source string) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	cOnce.Lock()
	defer cOnce.Unlock()
	if cDir == "" {
		if cDir, err = os.MkdirTemp("", "runsbx-ptrace"); err != nil {
			t.Fatal(err)
		}
		os.Chmod(cDir, 0o755)
	}
	bin := filepath.Join(cDir, name)
	if _, err := os.Stat(bin); err == nil {
		return bin
	}
	cmd := exec.Command(gcc, "-O1", "-pthread", "-x", "c", "-o", bin, "-")
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return bin
}

// begin is New and Start.
func begin(cfg Config) (*Tracer, error) {
	tr := New(cfg)
	if err := tr.Start(); err != nil {
		return nil, err
	}
	return tr, nil
}
