package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sentry/kernel"
)

// TestResolve: a path leads to what it leads another process to, whose descriptors and directory are not ours.
func TestResolve(t *testing.T) {
	m := new(machine)
	file, _, id := memfd(t, m)
	dir := t.TempDir()
	for name, to := range map[string]string{
		"absolute": "/proc/self/fd/0", "relative": "sub/../absolute", "loop": "loop", "out": dir + "/file",
	} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	os.Mkdir(filepath.Join(dir, "sub"), 0o755)
	os.WriteFile(filepath.Join(dir, "file"), nil, 0o644)
	cmd := exec.Command("sleep", "600")
	stdin := os.NewFile(uintptr(file), "memfd")
	cmd.Stdin, cmd.Dir = stdin, dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	task := &kernel.Task{TID: cmd.Process.Pid, Group: &kernel.ThreadGroup{TGID: cmd.Process.Pid}}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "file"), &st); err != nil {
		t.Fatal(err)
	}
	there := kernel.FileID{Dev: st.Dev, Ino: st.Ino}
	for path, want := range map[string]kernel.FileID{
		"/proc/self/fd/0": id, "/proc/./self/fd/0": id, "//proc/self/fd/0": id, "/proc/self/../thread-self/fd/0": id,
		"/../proc/self/task/../fd/0": id, "/proc/thread-self/../../fd/0": id, "/proc/self/root/proc/self/fd/0": id,
		"/proc/" + strconv.Itoa(task.TID) + "/fd/0": id, "absolute": id, "sub/../relative": id, "/proc/self/cwd/absolute": id,
		"file": there, "out": there, "./sub/../file": there, dir + "/out": there,
	} {
		fd, err := m.resolve(task, path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if err := unix.Fstat(fd, &st); err != nil || want != (kernel.FileID{Dev: st.Dev, Ino: st.Ino}) {
			t.Errorf("%s leads elsewhere (%v)", path, err)
		}
		unix.Close(fd)
	}
	before := len(ownDescriptors())
	for path, want := range map[string]error{
		"loop": unix.ELOOP, "none": unix.ENOENT, "file/none": unix.ENOTDIR, "/proc/self/fd/77": unix.ENOENT,
	} {
		if _, err := m.resolve(task, path); err != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	if after := len(ownDescriptors()); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
