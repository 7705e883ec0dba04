package escape

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var (
	rounds   = flag.Int("rounds", 300, "how often each race is tried")
	outcomes = flag.String("outcomes", "", "a file to which one line is appended for each run")
	with     = flag.String("with", "--wx deny", "the flags of runsbx run that have to stop the attacks")
)

// Everything of one test run lies below root, which every user may enter.
var (
	root   string
	runsbx string // the binary under test
)

const (
	searchPath = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
	nobody     = 65534 // the ordinary user
	hangGuard  = 5 * time.Minute
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	syscall.Umask(0o022)
	os.Setenv("PATH", searchPath+":"+os.Getenv("PATH"))
	var err error
	if root, err = os.MkdirTemp("", "runsbx-escape-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(root)
	if err := os.Chmod(root, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	runsbx = filepath.Join(root, "runsbx")
	install := exec.Command("go", "build", "-o", runsbx, "../../cmd/runsbx")
	if built := os.Getenv("RUNSBX_BIN"); built != "" {
		install = exec.Command("cp", built, runsbx)
	}
	if out, err := install.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", install, err, out)
		return 1
	}
	return m.Run()
}

// confinedBy is what stands before a program that is to be confined.
func confinedBy() []string {
	return append(append([]string{runsbx, "run"}, strings.Fields(*with)...), "--")
}

// user is who a program runs as.
type user struct {
	name   string
	prefix []string // before every command
	id     int
}

// users are root and an ordinary user, or only the one that runs the tests.
func users() []user {
	if os.Getuid() != 0 {
		return []user{{name: "user", id: os.Getuid()}}
	}
	id := strconv.Itoa(nobody)
	return []user{
		{name: "root"},
		{"user", []string{"setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--bounding-set", "-all", "--inh-caps", "-all", "--"}, nobody},
	}
}

// result is what can be seen of a program from outside.
type result struct{ stdout, stderr, status string }

func (r result) String() string {
	return fmt.Sprintf("%s\nstdout:\n%s\nstderr:\n%s", r.status, tail(r.stdout), tail(r.stderr))
}

func tail(s string) string { return s[max(0, len(s)-2000):] }

func statusOf(s *os.ProcessState) string {
	if w := s.Sys().(syscall.WaitStatus); w.Signaled() {
		return "signal: " + w.Signal().String()
	}
	return fmt.Sprintf("exit %d", s.ExitCode())
}

// command prepares a command whose processes can all be found by the tag in their environment.
func command(ctx context.Context, dir, tag string, env, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(env, tag)
	cmd.Cancel = func() error {
		killTagged(tag)
		return os.ErrProcessDone
	}
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

const tagName = "RUNSBX_ESCAPE_TAG"

var tags atomic.Uint32

func newTag() string { return fmt.Sprintf("%s=%08x-%08x", tagName, os.Getpid(), tags.Add(1)) }

// tagged returns the living processes that carry the tag.
func tagged(tag string) []int {
	dirs, _ := os.ReadDir("/proc")
	var pids []int
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile("/proc/" + d.Name() + "/environ") // empty for a zombie
		if err == nil && bytes.Contains(env, []byte(tag)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killTagged ends all processes that carry the tag, also those born meanwhile.
func killTagged(tag string) {
	for range 100 {
		pids := tagged(tag)
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// programs are compiled from testdata/*.c, each once.
var programs sync.Map // output name -> *build

type build struct {
	once sync.Once
	err  error
}

// compile compiles testdata/NAME.c and returns the path of the result.
func compile(t *testing.T, name string, flags ...string) string {
	t.Helper()
	path := filepath.Join(root, name+strings.Join(flags, ""))
	v, _ := programs.LoadOrStore(path, new(build))
	b := v.(*build)
	b.once.Do(func() {
		args := append([]string{"-O1", "-Wall", "-pthread", "-o", path, "testdata/" + name + ".c"}, flags...)
		if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
			b.err = fmt.Errorf("gcc %v: %w\n%s", args, err, out)
		}
	})
	if b.err != nil {
		t.Fatal(b.err)
	}
	return path
}

// copyFile copies a program to where it is started, or found as data.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
