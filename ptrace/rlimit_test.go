package ptrace

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRlimits: the program is executed under its limits, with the same registers, arguments and
// environment as without.
func TestRlimits(t *testing.T) {
	stack := []Rlimit{{Resource: unix.RLIMIT_STACK, Cur: 1 << 20, Max: 1 << 20}, {Resource: unix.RLIMIT_AS, Cur: 1 << 30, Max: 1 << 30}}
	eachLink(t, func(t *testing.T) {
		cfg := shell(`echo "$0|$1|$2|$X|$EMPTY|"; ulimit -s; ulimit -Hv`)
		cfg.Args = append(cfg.Args, "name", "", "two\nlines")
		cfg.Env = []string{"X=y z", "EMPTY="}
		cfg.Rlimits = stack
		c := &counter{}
		wantOut(t, run(t, cfg.with(c)), "name||two\nlines|y z||\n1024\n1048576\n", 0)
		if n := c.get("exec"); n != 1 {
			t.Errorf("%d execs were reported", n)
		}
		wantOut(t, run(t, Config{Path: compileBare(t, firstRegs), Rlimits: stack}.with(&counter{})), "", 0)
	})
}

// TestRlimitsTooLow: an exec that fails under the limits is told from one that ends the program, and
// both from a program that cannot be executed at all.
func TestRlimitsTooLow(t *testing.T) {
	for _, x := range []struct {
		name string
		cfg  Config
		err  error
		ends bool
	}{
		{"address space", Config{Path: "/bin/true", Rlimits: []Rlimit{{Resource: unix.RLIMIT_AS, Cur: 64 << 10, Max: 64 << 10}}}, nil, true},
		// The kernel shifts the stack at random. With this nearly a page is taken in any case.
		{"stack", Config{Path: "/bin/true", Env: []string{"X=" + strings.Repeat("x", 3800)}, Rlimits: []Rlimit{{Resource: unix.RLIMIT_STACK, Cur: 4096, Max: 4096}}}, nil, true},
		{"arguments", Config{Path: "/bin/true", Args: []string{"true", strings.Repeat("x", 100_000), strings.Repeat("x", 100_000)},
			Rlimits: []Rlimit{{Resource: unix.RLIMIT_STACK, Cur: 128 << 10, Max: 128 << 10}}}, unix.E2BIG, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			loaded := 0
			x.cfg.Handler, x.cfg.Filter, x.cfg.ExitStops = &counter{}, filter(t), true
			x.cfg.Loaded = func(pid int) error {
				loaded++
				return nil
			}
			_, err := begin(x.cfg)
			var refused *RlimitError
			if !errors.As(err, &refused) || x.err != nil && !errors.Is(err, x.err) {
				t.Fatalf("got %v", err)
			}
			if refused.Status.Signaled() != x.ends || x.ends && refused.Status.Signal() != unix.SIGSEGV {
				t.Errorf("status %#x", refused.Status)
			}
			if loaded != 1 {
				t.Errorf("%d images were loaded", loaded)
			}
		})
	}
	_, err := begin(Config{Path: "/no/such/program", Rlimits: []Rlimit{{Resource: unix.RLIMIT_AS, Cur: 4096, Max: 4096}}, Handler: &counter{}, Filter: filter(t)})
	var ee *ExecError
	if !errors.As(err, &ee) || !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v", err)
	}
	veto := errors.New("no")
	_, err = begin(Config{Path: "/bin/true", Loaded: func(int) error { return veto }, Handler: &counter{}, Filter: filter(t)})
	if err != veto {
		t.Errorf("got %v", err)
	}
	_, err = begin(Config{Path: "/bin/true", Rlimits: []Rlimit{{Resource: 99, Cur: 1, Max: 1}}, Handler: &counter{}, Filter: filter(t)})
	if !errors.Is(err, unix.EINVAL) {
		t.Errorf("got %v", err)
	}
}

// TestRlimitsKept: limits that no image depends on need no other exec, and those that only lower do not raise.
func TestRlimitsKept(t *testing.T) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	cfg := shell(`ulimit -c; ulimit -Hn; ulimit -f`)
	cfg.Rlimits = []Rlimit{
		{Resource: unix.RLIMIT_CORE, Cur: 0, Max: 0, AtMost: true},
		{Resource: unix.RLIMIT_NOFILE, Cur: files.Max + 1, Max: files.Max + 1, AtMost: true},
		{Resource: unix.RLIMIT_FSIZE, Cur: 512 * 100, Max: 512 * 200},
	}
	wantOut(t, run(t, cfg.with(&counter{})), fmt.Sprintf("0\n%d\n100\n", files.Max), 0)
}
