package integration

import (
	"bytes"
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

// Everything of one test run lies below root, which every user may enter.
var (
	root   string // a temporary directory
	runsbx string // the binary under test
	goTool string // the go command
)

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	syscall.Umask(0o022)
	var err error
	if goTool, err = exec.LookPath("go"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if root, err = os.MkdirTemp("", "runsbx-it-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(root)
	if err := os.Chmod(root, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The binary under test lies where every user may enter, wherever the checkout is.
	runsbx = filepath.Join(root, "runsbx")
	install := exec.Command(goTool, "build", "-o", runsbx, "../cmd/runsbx")
	if built := os.Getenv("RUNSBX_BIN"); built != "" {
		install = exec.Command("cp", built, runsbx)
	}
	if out, err := install.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", install, err, out)
		return 1
	}
	return m.Run()
}

// searchPath is the PATH of every program under test: the system's own tools, and go.
func searchPath() string {
	return "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:" + filepath.Dir(goTool)
}

// need fails the test when a tool is missing; with -short it skips it.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if lookTool(tool) == "" {
			if testing.Short() {
				t.Skipf("%s is not installed", tool)
			}
			t.Fatalf("%s is not installed (make test installs what the tests need)", tool)
		}
	}
}

// lookTool returns the path of a tool of searchPath, or "".
func lookTool(tool string) string {
	if strings.Contains(tool, "/") {
		if _, err := os.Stat(tool); err != nil {
			return ""
		}
		return tool
	}
	for _, dir := range filepath.SplitList(searchPath()) {
		path := filepath.Join(dir, tool)
		if fi, err := os.Stat(path); err == nil && !fi.IsDir() && fi.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// heavy skips a test that takes long with -short.
func heavy(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("long")
	}
}

// tagName marks every process that a test starts, through its environment, so that all of them
// can be found and ended wherever they were reparented to. All tags are of one length: the
// environment is on the stack, and its size shows in the address space.
const tagName = "RUNSBX_IT_TAG"

var tags atomic.Uint32

func newTag() string {
	return fmt.Sprintf("%s=%08x-%08x", tagName, os.Getpid(), tags.Add(1))
}

// tagged returns the living processes that carry the tag.
func tagged(tag string) []int {
	dirs, _ := os.ReadDir("/proc")
	var pids []int
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		// A zombie's environment is empty.
		env, err := os.ReadFile("/proc/" + d.Name() + "/environ")
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

// base creates a directory that any user may write, removed after the test.
func base(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(root, "t")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(dir) })
	return dir
}

// removeAll removes read-only directories as well (Go's module cache has them).
func removeAll(dir string) {
	if os.RemoveAll(dir) != nil {
		exec.Command("chmod", "-R", "u+rwx", dir).Run()
		os.RemoveAll(dir)
	}
}

// guests are the programs compiled from testdata/*.c, each once.
var guests sync.Map // name and flags -> *guestBuild

type guestBuild struct {
	once sync.Once
	path string
	err  error
}

// guest compiles testdata/NAME.c and returns the program's path.
func guest(t *testing.T, name string, flags ...string) string {
	t.Helper()
	need(t, "gcc")
	key := name + strings.Join(flags, "")
	b, _ := guests.LoadOrStore(key, new(guestBuild))
	g := b.(*guestBuild)
	g.once.Do(func() {
		g.path = filepath.Join(root, "guest-"+strings.ReplaceAll(key, "/", "_"))
		args := append([]string{"-O1", "-g", "-Wall", "-pthread", "-o", g.path, "testdata/" + name + ".c"}, flags...)
		if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
			g.err = fmt.Errorf("gcc %v: %w\n%s", args, err, out)
		}
	})
	if g.err != nil {
		t.Fatal(g.err)
	}
	return g.path
}

// pidList is the form in which ps takes process ids.
func pidList(pids []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(pids), " ", ","), "[]")
}
