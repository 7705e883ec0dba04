package integration

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// How much TestDifferential does:
//
//	go test ./integration -run TestDifferential -seeds 500 -calls 3000
//
// -first SEED begins elsewhere, so that one failure can be had again alone.
var (
	diffSeeds  = flag.Int("seeds", 0, "TestDifferential: how many random programs (0: a few)")
	diffCalls  = flag.Int("calls", 0, "TestDifferential: calls of each (0: some hundred)")
	diffFirst  = flag.Int("first", 1, "TestDifferential: the first seed")
	diffVerify = flag.String("verify", "every", "TestDifferential: when the model is compared, every or exit")
	diffMode   = flag.String("mode", "", "TestDifferential: only this mode")
)

// diffModes are the ways in which testdata/fuzzmm.c is run; its first comment says what the letters
// are. Every seed is one of them, in turn.
var diffModes = []struct {
	name     string
	features string
	flags    []string // of the compiler
	asUser   bool
}{
	{name: "root", features: "ADFGLMNPRSTUZ"},
	{name: "user", features: "AFGLMNPRSTZ", asUser: true},
	{name: "static", features: "ADFGLMNPRSTUZ", flags: []string{"-static"}},
	{name: "huge lengths", features: "ABDFGMNPRSTUZ"},
	{name: "hard limits", features: "ADFGLMNPRSTUZh"},
	{name: "user, hard limits", features: "AFGLMNPRSTZh", asUser: true},
	{name: "no tasks", features: "AFGLMNRSTZ"},
	{name: "threads at once", features: "FGLNX"},
}

// diffRun is one random program, natively and sandboxed.
type diffRun struct {
	program
	dir, seed, features, shm string
	exe                      string
}

// TestDifferential: random memory calls of every kind, with every flag, get the answers that they get
// natively without randomization, each of them, and /proc/self/maps is the same after each.
func TestDifferential(t *testing.T) {
	t.Parallel()
	need(t, "gcc", "setarch", "setpriv", "unshare")
	seeds, calls := *diffSeeds, *diffCalls
	if seeds == 0 {
		seeds = 2 * len(diffModes)
		if testing.Short() {
			seeds = len(diffModes)
		}
	}
	if calls == 0 {
		calls = 300
		if testing.Short() {
			calls = 150
		}
	}
	for seed := *diffFirst; seed < *diffFirst+seeds; seed++ {
		mode := diffModes[seed%len(diffModes)]
		if *diffMode != "" && mode.name != *diffMode || mode.asUser && os.Getuid() != 0 {
			continue
		}
		t.Run(fmt.Sprintf("seed %d, %s", seed, mode.name), func(t *testing.T) {
			t.Parallel()
			newDiffRun(t, mode.features, strconv.Itoa(seed), mode.asUser, mode.flags).test(t, calls)
		})
	}
}

// TestDifferentialFull: the same where there are as many mappings as there may be (vm.max_map_count).
func TestDifferentialFull(t *testing.T) {
	t.Parallel()
	need(t, "gcc", "setarch", "unshare")
	heavy(t)
	d := newDiffRun(t, "FGLMNSZV", "1", false, nil)
	d.verify = "exit" // to compare 65530 mappings after each of the calls that make them takes long
	d.test(t, 40)
}

func newDiffRun(t *testing.T, features, seed string, asUser bool, flags []string) *diffRun {
	t.Helper()
	shm, err := os.MkdirTemp("/dev/shm", "runsbx-it-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(shm) })
	if err := os.Chmod(shm, 0o777); err != nil {
		t.Fatal(err)
	}
	d := &diffRun{dir: base(t), seed: seed, features: features, shm: shm, exe: guest(t, "fuzzmm", flags...)}
	d.asUser, d.verify = asUser, *diffVerify
	if d.ownIPC = os.Getuid() == 0; !d.ownIPC {
		d.features = strings.ReplaceAll(d.features, "S", "") // segments would be left behind
	}
	if hugePages(t) {
		d.features += "H"
	}
	return d
}

// hugePages reports whether the machine has huge pages: then it is a matter of chance who gets them.
func hugePages(t *testing.T) bool {
	t.Helper()
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	return !strings.Contains(string(b), "\nHugetlb:               0 kB")
}

// outcome is what came of both runs.
type outcome struct {
	native, boxed result
	report        report
}

// try makes both runs, of so many calls but those to skip; whole lists are printed from call from on.
func (d *diffRun) try(t *testing.T, calls, from int, skip string) outcome {
	t.Helper()
	d.argv = []string{d.exe, d.seed, strconv.Itoa(calls), "0", "0", strconv.Itoa(from), d.features, d.shm, skip}
	file := filepath.Join(d.dir, "report.json")
	var o outcome
	o.native = d.run(t, d.dir, []string{lookTool("setarch"), "-R"})
	d.program.flags = []string{"--aslr", "off"}
	o.boxed = d.run(t, d.dir, d.runsbxArgs(file))
	o.report = readReport(t, file)
	return o
}

// differs returns "" when nothing can be told apart, and the model was right all the time.
func (o *outcome) differs() string {
	s := difference(o.native.stdout, o.boxed.stdout)
	if d := difference(o.native.stderr, withoutExplanations(o.boxed.stderr)); d != "" {
		s += "\nstderr:\n" + d
	}
	if o.native.status != o.boxed.status {
		s += fmt.Sprintf("\n%s natively, %s sandboxed", o.native.status, o.boxed.status)
	}
	if o.report.DriftCount != 0 || o.report.Failure != "" {
		s += "\nreport: " + o.report.Failure + strings.Join(o.report.Drift, "\n")
	}
	return s
}

const noLists = 1 << 40

func (d *diffRun) test(t *testing.T, calls int) {
	o := d.try(t, calls, noLists, "")
	if o.differs() == "" {
		if lines := strings.Count(o.native.stdout, "\n"); lines < calls/4 {
			t.Errorf("only %d lines: not much was tried\n%s", lines, tail(o.native.stdout))
		}
		if o.report.Verified == 0 {
			t.Error("report: nothing was verified")
		}
		return
	}
	calls, skip, last := d.shorten(t, calls, o)
	command := append(d.runsbxArgs("report.json"), d.exe, d.seed, strconv.Itoa(calls), "0", "0", "0", d.features, d.shm, "'"+skip+"'")
	t.Errorf("%s\nof %s", last.differs(), strings.Join(append(d.userPrefix(t), command...), " "))
}

// shorten looks for fewer calls that differ as well, in a bounded number of tries.
func (d *diffRun) shorten(t *testing.T, calls int, last outcome) (int, string, outcome) {
	tries := 60
	differs := func(n int, skip []string) bool {
		tries--
		o := d.try(t, n, noLists, strings.Join(skip, ","))
		if o.differs() == "" {
			return false
		}
		last = o
		return true
	}
	for low := 0; low+1 < calls; {
		if mid := (low + calls) / 2; differs(mid, nil) {
			calls = mid
		} else {
			low = mid
		}
	}
	var skip []string
	for size := calls / 2; size > 0 && tries > 0; size /= 2 {
		for at := 0; at+size < calls && tries > 0; at += size {
			more := append(skip[:len(skip):len(skip)], fmt.Sprintf("%d-%d", at, at+size-1))
			if differs(calls, more) {
				skip = more
			}
		}
	}
	return calls, strings.Join(skip, ","), last
}

// TestLimitFromOutside: prlimit(2) by somebody outside of the sandbox takes effect at the next call,
// also in those whose end runsbx does not see (brk).
func TestLimitFromOutside(t *testing.T) {
	t.Parallel()
	need(t, "gcc")
	limited := guest(t, "limited")
	for name, prefix := range map[string][]string{
		"natively": nil, "sandboxed": {runsbx, "run", "--unconfined", "--verify", "every", "--"},
	} {
		t.Run(name, func(t *testing.T) {
			argv := append(append([]string(nil), prefix...), limited)
			cmd := exec.Command(argv[0], argv[1:]...)
			cmd.Stderr = os.Stderr
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer in.Close()
			var pid int
			var got string
			if _, err := fmt.Fscanln(out, &pid); err != nil {
				t.Fatal(err)
			}
			for i, want := range []string{"brk=0,mmap=0", "brk=-1,mmap=-1", "brk=0,mmap=0"} {
				var l unix.Rlimit
				if err := unix.Prlimit(pid, unix.RLIMIT_AS, nil, &l); err != nil {
					t.Fatal(err)
				}
				if l.Cur = l.Max; i == 1 {
					l.Cur = 1 << 20
				}
				if err := unix.Prlimit(pid, unix.RLIMIT_AS, &l, nil); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintln(in)
				if _, err := fmt.Fscanln(out, &got); err != nil || got != want {
					t.Errorf("step %d: %q, want %q (%v)", i, got, want, err)
				}
			}
		})
	}
}
