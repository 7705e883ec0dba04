package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sentry/kernel"
)

// verified returns a Cmd that compares model and kernel after every call.
func verified(name string, arg ...string) *Cmd {
	c := Command(name, arg...)
	c.Policy.Verify = policy.VerifyEvery
	return c
}

func shell(script string) *Cmd { return verified("sh", "-c", script) }

// run runs c and returns what it printed, failing the test when the sandbox itself failed.
func run(t *testing.T, c *Cmd) (string, *ExitError) {
	t.Helper()
	out, err := c.CombinedOutput()
	var exit *ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", c, err)
	}
	r := c.Report()
	if r.DriftCount != 0 || r.Cause == "runsbx" {
		t.Fatalf("%v: cause %s, drift %q", c, r.Cause, r.Drift)
	}
	return string(out), exit
}

func TestOutputAndStatus(t *testing.T) {
	for _, tc := range []struct {
		script, out string
		code        int
	}{
		{"echo hello", "hello\n", 0},
		{"exit 7", "", 7},
		{"echo out; echo err >&2", "out\nerr\n", 0},
		{"seq 1000 | tail -1", "1000\n", 0},
		{"for i in 1 2 3; do (echo $i) & wait; done", "1\n2\n3\n", 0},
		{"trap 'echo caught' USR1; kill -USR1 $$; echo after", "caught\nafter\n", 0},
	} {
		t.Run(tc.script, func(t *testing.T) {
			out, exit := run(t, shell(tc.script))
			code := 0
			if exit != nil {
				code = exit.ExitCode()
			}
			if out != tc.out || code != tc.code {
				t.Errorf("printed %q with status %d, want %q with %d", out, code, tc.out, tc.code)
			}
		})
	}
}

func TestSignalled(t *testing.T) {
	_, exit := run(t, shell("kill -TERM $$"))
	if exit == nil || !exit.Status.Signaled() || exit.Status.Signal() != syscall.SIGTERM {
		t.Fatalf("ended with %v", exit)
	}
	if r := exit.Report; r.Cause != "signal" || r.Signal != "SIGTERM" {
		t.Errorf("cause %q, signal %q", r.Cause, r.Signal)
	}
}

func TestStreams(t *testing.T) {
	t.Run("reader", func(t *testing.T) {
		c := verified("cat")
		c.Stdin = strings.NewReader("through a pipe")
		if out, _ := run(t, c); out != "through a pipe" {
			t.Errorf("got %q", out)
		}
	})
	t.Run("much", func(t *testing.T) {
		c := verified("cat")
		c.Stdin = io.LimitReader(zeros{}, 10<<20)
		if out, _ := run(t, c); len(out) != 10<<20 {
			t.Errorf("got %d bytes", len(out))
		}
	})
	t.Run("input not read", func(t *testing.T) {
		c := verified("true")
		c.Stdin = zeros{} // without end
		run(t, c)
	})
	t.Run("none", func(t *testing.T) {
		c := verified("cat") // standard input is /dev/null
		if out, _ := run(t, c); out != "" {
			t.Errorf("got %q", out)
		}
	})
	t.Run("extra file", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		c := shell("echo three >&3")
		c.ExtraFiles = []*os.File{w}
		run(t, c)
		w.Close()
		if b, _ := io.ReadAll(r); string(b) != "three\n" {
			t.Errorf("got %q", b)
		}
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestEnvironmentAndDirectory(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", `echo "$A"; pwd`}, Env: []string{"A=b"}, Dir: dir}
	if out, _ := run(t, c); out != "b\n"+dir+"\n" {
		t.Errorf("got %q", out)
	}
}

func TestZeroValue(t *testing.T) {
	if err := new(Cmd).Run(); err == nil {
		t.Error("a Cmd without a Path ran")
	}
	if _, exit := run(t, &Cmd{Path: "/bin/true"}); exit != nil {
		t.Errorf("ended with %v", exit)
	}
}

func TestOneUse(t *testing.T) {
	c := Command("true")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	var own *Error
	if err := c.Start(); !errors.As(err, &own) {
		t.Errorf("second Start: %v", err)
	}
	if err := c.Wait(); !errors.As(err, &own) {
		t.Errorf("second Wait: %v", err)
	}
	if err := Command("true").Wait(); !errors.As(err, &own) {
		t.Errorf("Wait before Start: %v", err)
	}
}

func TestCannotStart(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("not a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path string
		want error
	}{
		{"no-such-program-anywhere", exec.ErrNotFound},
		{filepath.Join(dir, "missing"), syscall.ENOENT},
		{dir, syscall.EACCES},
		{plain, syscall.EACCES},
		{garbage, syscall.ENOEXEC},
	} {
		t.Run(filepath.Base(tc.path), func(t *testing.T) {
			err := Command(tc.path).Run()
			var se *StartError
			if !errors.As(err, &se) || !errors.Is(err, tc.want) {
				t.Errorf("got %v (%T), want a StartError of %v", err, err, tc.want)
			}
		})
	}
}

func TestContext(t *testing.T) {
	t.Run("done before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := CommandContext(ctx, "true").Run(); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("kills the tree", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := CommandContext(ctx, "sh", "-c", "sleep 1000 & sleep 1000 & echo ready; wait")
		out, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		c.Stdout = w
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := c.Wait(); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		// Nobody holds the pipe any more.
		if b, err := io.ReadAll(out); len(b) != 0 || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	})
	t.Run("own cancel", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := CommandContext(ctx, "sh", "-c", `trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done`)
		c.Cancel = func() error { return c.Signal(syscall.SIGTERM) }
		out, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		c.Stdout = w
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := c.Wait(); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if r := c.Report(); r.ExitCode != 3 {
			t.Errorf("exit status %d", r.ExitCode)
		}
	})
}

// Descendants that outlive the first process are waited for: they cannot live on without us.
func TestBackgroundWork(t *testing.T) {
	out, exit := run(t, shell("(sleep 0.1; echo late) & exit 5"))
	if out != "late\n" || exit == nil || exit.ExitCode() != 5 {
		t.Errorf("printed %q, ended with %v", out, exit)
	}
}

// Several sandboxes run at once in one process, beside children of its own.
func TestTogether(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(2)
		go func() {
			defer wg.Done()
			c := shell(fmt.Sprintf("for i in 1 2 3; do ls / >/dev/null; done; echo %d", i))
			out, err := c.Output()
			if err != nil || string(out) != fmt.Sprintf("%d\n", i) {
				t.Errorf("sandbox %d: %q, %v", i, out, err)
			}
		}()
		go func() {
			defer wg.Done()
			out, err := exec.Command("sh", "-c", fmt.Sprintf("sleep 0.01; echo %d; exit %d", i, i)).Output()
			var exit *exec.ExitError
			if i == 0 && err != nil || i != 0 && (!errors.As(err, &exit) || exit.ExitCode() != i) {
				t.Errorf("child %d: %v", i, err)
			}
			if string(out) != fmt.Sprintf("%d\n", i) {
				t.Errorf("child %d printed %q", i, out)
			}
		}()
	}
	wg.Wait()
}

func TestSeededMaps(t *testing.T) {
	maps := func(seed uint64) string {
		c := verified("cat", "/proc/self/maps")
		c.Policy.ASLR, c.Policy.Seed = policy.ASLRSeed, seed
		out, _ := run(t, c)
		return out
	}
	if a, b := maps(7), maps(7); a != b {
		t.Errorf("one seed, two layouts:\n%s\n%s", a, b)
	}
	if maps(7) == maps(8) {
		t.Error("two seeds, one layout")
	}
}

func TestTrace(t *testing.T) {
	var b bytes.Buffer
	c := shell("/bin/true; cat /dev/null")
	c.Trace = &b
	run(t, c)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if lines[0] != `{"schema":1}` {
		t.Errorf("first line %q", lines[0])
	}
	calls := map[string]int{}
	for _, l := range lines[1:] {
		var e struct {
			Time, Program, Call, Verdict, Value, Errno string
			PID, TID                                   int
			Args                                       []string
		}
		d := json.NewDecoder(strings.NewReader(l))
		if err := d.Decode(&e); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		if e.PID == 0 || e.TID == 0 || e.Time == "" || e.Verdict == "" || len(e.Args) != 6 || (e.Value == "") == (e.Errno == "") {
			t.Errorf("incomplete: %s", l)
		}
		calls[e.Call]++
	}
	for name, n := range c.Report().Calls {
		if uint64(calls[name]) != n.Decided {
			t.Errorf("%s: %d in the trace, %d in the report", name, calls[name], n.Decided)
		}
	}
	if calls["mmap"] == 0 || calls["munmap"] == 0 || calls["brk"] == 0 {
		t.Errorf("calls: %v", calls)
	}
}

// A trace that cannot be written ends the tree: a decision that leaves no record is not made.
func TestTraceFails(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	c := Command("sh", "-c", "while :; do /bin/true; done") // without end
	c.Trace = full
	err = c.Run()
	var own *Error
	if !errors.As(err, &own) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if r := c.Report(); r.Cause != "runsbx" {
		t.Errorf("cause %q", r.Cause)
	}
}

func TestNotBuilt(t *testing.T) {
	for name, p := range map[string]policy.Policy{
		"limits":    {Limits: map[string]uint64{"rss": 1 << 30}},
		"injection": {Inject: []string{"mmap:error=ENOMEM"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := Command("true")
			c.Policy = p
			if err := c.Run(); !errors.Is(err, policy.ErrNotBuilt) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestFdinfoFlags(t *testing.T) {
	for text, want := range map[string]uint64{
		"pos:\t0\nflags:\t0100002\nmnt_id:\t29\n": syscall.O_RDWR | 0o100000,
		"pos:\t0\nflags:\t02\n":                   2,
	} {
		if got, err := fdinfoFlags([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %#o, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "flags:", "flags:\t", "flags:\tx\n", "pos:\t0\n"} {
		if _, err := fdinfoFlags([]byte(text)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

// A setting of the machine that changes while a program runs is not a defect of the model.
func TestSettingsChange(t *testing.T) {
	s, err := newSupervisor(shell("true"))
	if err != nil {
		t.Fatal(err)
	}
	now := s.probed
	s.probed.ShmemHuge, s.probed.MaxMapCount = !now.ShmemHuge, now.MaxMapCount+1
	task := &kernel.Task{TID: 1, Group: &kernel.ThreadGroup{}}
	s.drifted(task, &kernel.Drift{})
	if s.failed != nil || s.report.DriftCount != 0 || s.probed != now {
		t.Errorf("failed %v, drift %d, settings %+v, want %+v", s.failed, s.report.DriftCount, s.probed, now)
	}
	if s.drifted(task, &kernel.Drift{}); s.failed == nil || s.report.DriftCount != 1 {
		t.Error("drift under settings that have not changed is not reported")
	}
}
