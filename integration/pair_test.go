package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is one program to be run natively and sandboxed.
type program struct {
	argv  []string
	stdin string
	env   []string          // besides the few variables of environment
	files map[string]string // written into the scratch directory first
	setup func(t *testing.T, dir string)

	// wrap is put before the program, or before runsbx, and is itself never sandboxed:
	// {"sh", "-c", `exec "$@" <&-`, "sh"} closes the standard input.
	wrap []string
	// native is put before the program in the native run alone, which flags does for the other one.
	native []string
	// asUser runs all of it as nobody, without capabilities.
	asUser bool
	// confined runs it in the default profile, not in the memory manager alone.
	confined bool
	// ownIPC gives it System V objects of its own, which go when it ends; it takes root.
	ownIPC bool

	flags  []string // for runsbx run
	verify string   // "every" unless given
	guard  time.Duration

	// normal takes out of the outputs what differs between two native runs.
	normal func(string) string
	// Both runs must end with this status; "exit 0" unless given.
	status string
	// Both outputs must contain this, so that two equal failures do not pass.
	want string
}

// result is what can be seen of a program from outside.
type result struct {
	stdout, stderr string
	status         string // "exit 3", "signal: killed"
}

// report is the part of --report's file that the tests look at.
type report struct {
	Schema     int      `json:"schema"`
	Cause      string   `json:"cause"`
	ExitCode   int      `json:"exit_code"`
	Signal     string   `json:"signal"`
	Failure    string   `json:"failure"`
	Processes  uint64   `json:"processes"`
	Threads    uint64   `json:"threads"`
	Verified   uint64   `json:"verified"`
	DriftCount uint64   `json:"drift_count"`
	Drift      []string `json:"drift"`
	Refused    uint64   `json:"refused"`
	Refusals   []struct {
		Program, Call, Resource, Errno string
		Used, Wanted, Limit            uint64
	} `json:"refusals"`
	Peak struct {
		Commit uint64 `json:"commit"`
	} `json:"peak"`
}

// with is what every pair of runs is made with besides its own flags: programs do not notice limits
// that they do not come near to.
//
//	go test ./integration -with '--limit commit=16G --limit procs=4000'
var with = flag.String("with", "", "more flags for runsbx in each test that compares with a native run")

// fair runs each program natively so many times more before it is sandboxed, and compares these runs
// with each other: what differs between them is the test's own fault and not runsbx's. Best on a
// machine that is busy.
//
//	go test ./integration -fair 50 -run TestGuests
var fair = flag.Int("fair", 0, "how many more native runs each test that compares makes, to compare with each other")

// hangGuard ends a run that does not end by itself. Nothing else depends on it.
var hangGuard = guardFromEnvironment()

func guardFromEnvironment() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("RUNSBX_HANG_GUARD")); err == nil {
		return d
	}
	return 2 * time.Minute
}

// check runs the program natively and sandboxed, in the same directory made anew, and compares.
func (p program) check(t *testing.T) {
	t.Helper()
	if p.wrap == nil && !strings.HasPrefix(p.argv[0], "./") {
		need(t, p.argv[0])
	}
	dir := base(t)
	native := p.run(t, dir, p.native)
	p.expect(t, "natively", native)
	if t.Failed() {
		t.Fatal("the program does not work natively: nothing to compare")
	}
	for range *fair {
		again := p.run(t, dir, p.native)
		p.expect(t, "natively, again", again)
		p.compare(t, native, again)
		if t.Failed() {
			t.Fatal("the program differs from itself natively")
		}
	}
	reportFile := filepath.Join(dir, "report.json")
	boxed := p.run(t, dir, p.runsbxArgs(reportFile))
	p.expect(t, "sandboxed", boxed)
	p.compare(t, native, boxed)
	p.checkReport(t, reportFile)
}

// runsbxArgs is the command line that goes before the program's own.
func (p program) runsbxArgs(reportFile string) []string {
	verify := p.verify
	if verify == "" {
		verify = "every"
	}
	args := []string{runsbx, "run", "--verify", verify, "--report", reportFile}
	if !p.confined {
		args = append(args, "--unconfined")
	}
	if !slices.Contains(p.flags, "--limit") {
		args = append(args, strings.Fields(*with)...)
	}
	return append(append(args, p.flags...), "--")
}

// run runs the program once, behind prefix, in dir/w made anew.
func (p program) run(t *testing.T, dir string, prefix []string) result {
	t.Helper()
	work := p.workDir(t, dir)
	argv := slices.Concat(p.userPrefix(t), p.wrap, prefix, p.argv)
	return runBounded(t, argv, work, p.environment(work), p.stdin, p.guard)
}

// workDir creates dir/w with the program's files, and dir/tmp.
func (p program) workDir(t *testing.T, dir string) string {
	t.Helper()
	work := filepath.Join(dir, "w")
	for _, d := range []string{work, filepath.Join(dir, "tmp")} {
		removeAll(d)
		if err := os.Mkdir(d, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range p.files {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(content, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(work, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	if p.setup != nil {
		p.setup(t, work)
	}
	return work
}

func (p program) environment(work string) []string {
	return append([]string{
		"PATH=" + searchPath(), "HOME=" + work, "TMPDIR=" + filepath.Join(filepath.Dir(work), "tmp"),
		"LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC",
	}, p.env...)
}

// nobody is the ordinary user of the tests.
const nobody = "65534"

func (p program) userPrefix(t *testing.T) []string {
	var prefix []string
	if p.ownIPC {
		prefix = append(prefix, lookTool("unshare"), "--ipc", "--")
	}
	if p.asUser && os.Getuid() == 0 {
		prefix = append(prefix, lookTool("setpriv"), "--reuid", nobody, "--regid", nobody, "--clear-groups",
			"--bounding-set", "-all", "--inh-caps", "-all", "--")
	}
	return prefix
}

// runBounded runs a command to its end and to the end of everything that writes to its outputs.
// When the guard's time is over, every process that the command started is killed.
func runBounded(t *testing.T, argv []string, dir string, env []string, stdin string, guard time.Duration) result {
	t.Helper()
	if guard == 0 {
		guard = hangGuard
	}
	tag := newTag()
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if path := lookTool(argv[0]); path != "" {
		cmd.Path, cmd.Err = path, nil
	}
	cmd.Dir = dir
	cmd.Env = append(env, tag)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error {
		killTagged(tag)
		return os.ErrProcessDone
	}
	cmd.WaitDelay = 5 * time.Second
	defer killTagged(tag)
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%v hung: killed after %v\nstdout:\n%s\nstderr:\n%s", argv, guard, tail(stdout.String()), tail(stderr.String()))
	}
	if cmd.ProcessState == nil {
		t.Fatalf("%v: %v", argv, err)
	}
	return result{stdout.String(), stderr.String(), statusOf(cmd.ProcessState.Sys().(syscall.WaitStatus))}
}

func statusOf(w syscall.WaitStatus) string {
	if w.Signaled() {
		return "signal: " + w.Signal().String()
	}
	return fmt.Sprintf("exit %d", w.ExitStatus())
}

// expect checks what holds for both runs.
func (p program) expect(t *testing.T, how string, r result) {
	t.Helper()
	status := p.status
	if status == "" {
		status = "exit 0"
	}
	if r.status != status {
		t.Errorf("%s: %s, want %s\nstdout:\n%s\nstderr:\n%s", how, r.status, status, tail(r.stdout), tail(r.stderr))
	}
	if !strings.Contains(r.stdout+r.stderr, p.want) {
		t.Errorf("%s: %q is not in the output\nstdout:\n%s\nstderr:\n%s", how, p.want, tail(r.stdout), tail(r.stderr))
	}
}

func (p program) compare(t *testing.T, native, boxed result) {
	t.Helper()
	normal := p.normal
	if normal == nil {
		normal = func(s string) string { return s }
	}
	if d := difference(normal(native.stdout), normal(boxed.stdout)); d != "" {
		t.Errorf("stdout differs:\n%s", d)
	}
	// runsbx adds a line for each process that a limit has ended, which TestCauses looks at.
	if d := difference(normal(native.stderr), normal(withoutExplanations(boxed.stderr))); d != "" {
		t.Errorf("stderr differs:\n%s", d)
	}
}

// checkReport requires that the model and the kernel agreed all the time.
func (p program) checkReport(t *testing.T, file string) {
	t.Helper()
	r := readReport(t, file)
	if r.Schema < 1 {
		t.Errorf("report: schema %d", r.Schema)
	}
	if r.DriftCount != 0 || len(r.Drift) != 0 {
		t.Errorf("report: %d drifts:\n%s", r.DriftCount, tail(strings.Join(r.Drift, "\n")))
	}
	if r.Failure != "" {
		t.Errorf("report: failure: %s", r.Failure)
	}
	if r.Verified == 0 {
		t.Error("report: nothing was verified")
	}
}

func readReport(t *testing.T, file string) report {
	t.Helper()
	var r report
	b, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("report: %v", err)
		return r
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Errorf("report: %v\n%s", err, tail(string(b)))
	}
	return r
}

// difference returns "" or the lines around the first difference.
func difference(native, boxed string) string {
	if native == boxed {
		return ""
	}
	a, b := strings.Split(native, "\n"), strings.Split(boxed, "\n")
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	window := func(s []string) string {
		return strings.Join(s[max(i-2, 0):min(i+8, len(s))], "\n")
	}
	return fmt.Sprintf("--- natively (%d lines), from line %d\n%s\n--- sandboxed (%d lines)\n%s",
		len(a), max(i-1, 1), window(a), len(b), window(b))
}

// tail keeps messages readable.
func tail(s string) string {
	const most = 3000
	if len(s) > most {
		return "[...]" + s[len(s)-most:]
	}
	return s
}
