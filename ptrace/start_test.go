package ptrace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
)

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		name string
		cfg  Config
		want error
	}{
		{"missing", Config{Path: "/no/such/program"}, unix.ENOENT},
		{"directory", Config{Path: "/"}, unix.EACCES},
		{"not executable", Config{Path: write("plain", "#!/bin/sh\n", 0o644)}, unix.EACCES},
		{"garbage", Config{Path: write("garbage", "garbage", 0o755)}, unix.ENOEXEC},
		{"no interpreter", Config{Path: write("script", "#!/no/such/interpreter\n", 0o755)}, unix.ENOENT},
		{"missing directory", Config{Path: "/bin/true", Dir: "/no/such/directory"}, unix.ENOENT},
		{"no more args", Config{Path: "/bin/true", Args: []string{strings.Repeat("x", 1<<20)}}, unix.E2BIG},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Handler, tt.cfg.Filter = &counter{}, filter(t)
			_, err := begin(tt.cfg)
			var ee *ExecError
			if !errors.As(err, &ee) || !errors.Is(err, tt.want) || ee.Path != tt.cfg.Path {
				t.Errorf("got %v, want *ExecError with %v", err, tt.want)
			}
		})
	}
	for name, cfg := range map[string]Config{
		"no handler":  {Path: "/bin/true", Filter: filter(t)},
		"no filter":   {Path: "/bin/true", Handler: &counter{}},
		"bad filter":  {Path: "/bin/true", Handler: &counter{}, Filter: make([]byte, 8)},
		"exec panics": {Path: "/bin/true", Handler: &counter{exec: func(int, int) { panic("no") }}, Filter: filter(t)},
	} {
		_, err := begin(cfg)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v, want *Error", name, err)
		}
	}
}

func TestStart32Bit(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "a")
	cmd := exec.Command("gcc", "-m32", "-nostdlib", "-static", "-x", "c", "-o", bin, "-")
	cmd.Stdin = strings.NewReader("void _start(void) { for (;;); }")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("no 32-bit compiler: %s", out)
	}
	_, err := begin(Config{Path: bin, Handler: &counter{}, Filter: filter(t)})
	var ee *ExecError
	if !errors.As(err, &ee) || !errors.Is(err, unix.ENOEXEC) || ee.Path != bin {
		t.Errorf("got %v, want ENOEXEC", err)
	}
}

// firstRegs exits with 0 if every register is as execve leaves it and the 64 KB under the stack
// pointer are zero from the red zone down to where exec has written.
const firstRegs = `
__asm__(
".globl _start\n_start:\n"
"or %rbx,%rax\nor %rcx,%rax\nor %rdx,%rax\nor %rsi,%rax\nor %rdi,%rax\nor %rbp,%rax\n"
"or %r8,%rax\nor %r9,%rax\nor %r10,%rax\nor %r11,%rax\nor %r12,%rax\nor %r13,%rax\nor %r14,%rax\nor %r15,%rax\n"
"jnz 2f\n"
"lea -65536(%rsp),%rbx\nlea -128(%rsp),%rcx\n"
"1: mov (%rbx),%rax\ntest %rax,%rax\njnz 3f\nadd $8,%rbx\ncmp %rcx,%rbx\njb 1b\n"
"xor %edi,%edi\n4: mov $231,%eax\nsyscall\n"
"2: mov $1,%edi\njmp 4b\n3: mov $2,%edi\njmp 4b\n");
`

func compileBare(t *testing.T, source string) string {
	bin := filepath.Join(t.TempDir(), "bare")
	cmd := exec.Command("gcc", "-nostdlib", "-static", "-x", "c", "-o", bin, "-")
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("gcc: %v %s", err, out)
	}
	return bin
}

func TestFirstRegisters(t *testing.T) {
	bin := compileBare(t, firstRegs)
	if err := exec.Command(bin).Run(); err != nil {
		t.Skip("natively it is otherwise:", err)
	}
	eachLink(t, func(t *testing.T) {
		wantOut(t, run(t, Config{Path: bin}.with(&counter{})), "", 0)
	})
}

// eachLink runs a test with each way for the listener to reach us.
func eachLink(t *testing.T, test func(*testing.T)) {
	t.Run("pidfd_getfd", test)
	t.Run("socket", func(t *testing.T) {
		old := canGetFd
		canGetFd = func() bool { return false }
		defer func() { canGetFd = old }()
		test(t)
	})
}

// TestSameAsNative compares what a program can see of itself.
func TestSameAsNative(t *testing.T) {
	script := "cd /proc/self && ls -l fd | sed 's/.* \\([0-9]* ->\\) .*/\\1/;/pipe/d' && " +
		"grep -E '^(Sig|Shd|Threads|CapEff|VmLck|VmPin|FDSize)' status | sed '/^SigQ/d' && cat limits personality oom_score_adj"
	if os.Getuid() != 0 {
		script = strings.Replace(script, " personality", "", 1)
	}
	native := exec.Command("/bin/sh", "-c", script)
	want, err := native.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, want)
	}
	eachLink(t, func(t *testing.T) {
		wantOut(t, run(t, shell(script).with(&counter{})), string(want), 0)
	})
}

const addrNoRandomize = 0x0040000

// TestNoRandomize compares the address space with the one that setarch -R gives.
func TestNoRandomize(t *testing.T) {
	setarch, err := exec.LookPath("setarch")
	if err != nil {
		t.Skip(err)
	}
	env := []string{"A=b"}
	native := exec.Command(setarch, "x86_64", "-R", "/bin/cat", "/proc/self/maps")
	native.Env = env
	want, err := native.Output()
	if err != nil {
		t.Skip("no ADDR_NO_RANDOMIZE here:", err)
	}
	cfg := Config{Path: "/bin/cat", Args: []string{"/bin/cat", "/proc/self/maps"}, Env: env, SetPersonality: addrNoRandomize}
	eachLink(t, func(t *testing.T) {
		wantOut(t, run(t, cfg.with(&counter{})), string(want), 0)
	})
	var old uintptr
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if old, _, _ = unix.Syscall(unix.SYS_PERSONALITY, 0xffffffff, 0, 0); old&addrNoRandomize != 0 {
		t.Error("our own thread kept the personality")
	}
}

// TestSmallStack has no room for the filter under the stack pointer.
func TestSmallStack(t *testing.T) {
	var rules []seccomp.Rule
	for i := range uint64(1500) {
		rules = append(rules, seccomp.Rule{Nr: unix.SYS_IOCTL, Act: seccomp.Errno, Errno: 1,
			Conds: []seccomp.Cond{{Arg: 1, Op: seccomp.Equal, Value: 1<<40 + i}}})
	}
	big, err := seccomp.Filter{Rules: rules}.Export()
	if err != nil || len(big) < 8000 {
		t.Fatalf("%d bytes, %v", len(big), err)
	}
	var old unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_STACK, nil, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(0, unix.RLIMIT_STACK, &unix.Rlimit{Cur: 12 << 10, Max: old.Max}, nil); err != nil {
		t.Fatal(err)
	}
	defer unix.Prlimit(0, unix.RLIMIT_STACK, &old, nil)
	c := &counter{exec: func(tid, _ int) {
		// The program has not run yet: this is what the kernel made.
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", tid))
		if err != nil || !bytes.Contains(b, []byte("[stack]")) {
			t.Error(err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.HasSuffix(line, " 0 \n") {
				t.Errorf("a mapping of ours is left: %s", line)
			}
		}
	}}
	wantOut(t, run(t, Config{Path: compileBare(t, bareExit), Env: []string{}, Filter: big}.with(c)), "", 9)
}

const bareExit = `__asm__(".globl _start\n_start:\nmov $9,%edi\nmov $231,%eax\nsyscall\n");`

// TestOwnThread: a thread that has forked for somebody else is none for a Tracer.
func TestOwnThread(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/bin/true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if childless() {
		t.Error("the child is not seen")
	}
	done := make(chan bool)
	go onOwnThread(make(chan bool), func() {
		if !childless() {
			t.Error("a thread with children")
		}
		close(done)
	})
	<-done
	run(t, shell("/bin/true & wait").with(&counter{}))
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestFilesAndDir(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := &counter{}
	tr, err := begin(Config{Path: "/bin/sh", Args: []string{"sh", "-c", "pwd >&3; echo $X >&3; ls /proc/self/fd >&3"},
		Env: []string{"X=y"}, Dir: "/proc", Files: []*os.File{nil, nil, nil, w}, Handler: c, Filter: filter(t)})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.ReadFrom(r)
	if ws, err := tr.Wait(); err != nil {
		t.Error(ws, err)
	}
	if !strings.HasPrefix(b.String(), "/proc\ny\n") {
		t.Errorf("got %q", b.String())
	}
	c.check(t)
}

func TestCredential(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	cfg := shell("id -u; id -g")
	cfg.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, Setsid: true}
	eachLink(t, func(t *testing.T) {
		wantOut(t, run(t, cfg.with(&counter{})), "65534\n65534\n", 0)
	})
}

// TestUnreadable: the kernel lets nobody but root look into the image of a program whose file may
// only be executed.
func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	path := filepath.Join(t.TempDir(), "true")
	b, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o111); err != nil {
		t.Fatal(err)
	}
	_, err = begin(Config{Path: path, Handler: &counter{}, Filter: filter(t)})
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("got %v, want *Error", err)
	}
}

// TestNamespaces: the program in a pid namespace of its own is traced by the ids that we see.
func TestNamespaces(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	cfg := shell("echo $$; /bin/true; sh -c 'echo child' & wait")
	cfg.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	eachLink(t, func(t *testing.T) {
		wantOut(t, run(t, cfg.with(&counter{})), "1\nchild\n", 0)
	})
}

// TestKillBeforeFirst: the Handler can end the tree before the program's first instruction, and so can
// whoever has the Tracer before it is started.
func TestKillBeforeFirst(t *testing.T) {
	for name, early := range map[string]bool{"by the handler": false, "before the start": true} {
		t.Run(name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			c := &counter{}
			tr := New(Config{Path: "/bin/echo", Args: []string{"echo"}, Files: []*os.File{nil, w}, Handler: c, Filter: filter(t)})
			if early {
				tr.Kill()
			} else {
				c.exec = func(int, int) { tr.Kill() }
			}
			err = tr.Start()
			w.Close()
			if err != nil {
				t.Fatal(err)
			}
			if ws, err := tr.Wait(); err != nil || !ws.Signaled() || ws.Signal() != unix.SIGKILL {
				t.Errorf("wait status %#x, %v, want killed", uint32(ws), err)
			}
			if b, _ := io.ReadAll(r); len(b) > 0 {
				t.Errorf("it has run: %q", b)
			}
		})
	}
}

// leftovers counts what this process holds.
func leftovers(t *testing.T) (fds, threads, goroutines, children int) {
	count := func(dir string) int {
		e, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(e)
	}
	kids, _ := filepath.Glob("/proc/self/task/*/children")
	for _, k := range kids {
		b, _ := os.ReadFile(k)
		children += len(strings.Fields(string(b)))
	}
	return count("/proc/self/fd"), count("/proc/self/task"), runtime.NumGoroutine(), children
}

func TestNoLeaks(t *testing.T) {
	once := func() {
		run(t, shell("/bin/true & wait").with(&counter{}))
		if _, err := begin(Config{Path: "/no/such", Handler: &counter{}, Filter: filter(t)}); err == nil {
			t.Fatal("started")
		}
		if _, err := begin(Config{Path: "/bin/true", Handler: &counter{}, Filter: make([]byte, 8)}); err == nil {
			t.Fatal("started")
		}
		c := &counter{exec: func(int, int) { panic("no") }}
		if _, err := begin(Config{Path: "/bin/true", Handler: c, Filter: filter(t)}); err == nil {
			t.Fatal("started")
		}
		tr, finish := start(t, shell("sleep 100 & sleep 100").with(&counter{}))
		tr.Kill()
		finish()
	}
	eachLink(t, func(t *testing.T) {
		for range 10 {
			once()
		}
		fds, threads, _, _ := leftovers(t)
		for range 30 {
			once()
		}
		// Goroutines end a little after what they signal.
		var fds2, threads2, gos2, children2 int
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if fds2, threads2, gos2, children2 = leftovers(t); fds2 <= fds && gos2 <= 5 {
				break
			}
		}
		// The runtime makes threads as it needs them; a leak would be one each time or more.
		if fds2 > fds || threads2 > threads+10 || gos2 > 5 || children2 > 0 {
			t.Errorf("fds %d -> %d, threads %d -> %d, goroutines %d, children %d", fds, fds2, threads, threads2, gos2, children2)
		}
	})
}
