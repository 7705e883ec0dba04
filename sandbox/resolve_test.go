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
	file, _, id := memfd(t, new(machine))
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
	pid := cmd.Process.Pid
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "file"), &st); err != nil {
		t.Fatal(err)
	}
	there := kernel.FileID{Dev: st.Dev, Ino: st.Ino}
	for path, want := range map[string]kernel.FileID{
		"/proc/self/fd/0": id, "/proc/./self/fd/0": id, "//proc/self/fd/0": id, "/proc/self/../thread-self/fd/0": id,
		"/../proc/self/task/../fd/0": id, "/proc/thread-self/../../fd/0": id, "/proc/self/root/proc/self/fd/0": id,
		"/proc/" + strconv.Itoa(pid) + "/fd/0": id, "absolute": id, "sub/../relative": id, "/proc/self/cwd/absolute": id,
		"file": there, "out": there, ".//file": there, "./sub/../file": there, dir + "/out": there,
	} {
		fd, err := (&lookup{tid: pid, dir: unix.AT_FDCWD, path: path}).open()
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
		"loop": unix.ELOOP, "none": unix.ENOENT, "file/none": unix.ENOTDIR, "file/": unix.ENOTDIR, "out//": unix.ENOTDIR, "/proc/self/fd/77": unix.ENOENT,
	} {
		if _, err := (&lookup{tid: pid, dir: unix.AT_FDCWD, path: path}).open(); err != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	for name, x := range map[string]struct {
		lookup
		want error
		link bool
	}{
		"a link itself":                      {lookup: lookup{path: "out", nofollow: true}, link: true},
		"a link on the way":                  {lookup: lookup{path: "sub/../out/", nofollow: true}, want: unix.ENOTDIR},
		"what it has open itself":            {lookup: lookup{path: "/proc/self/fd/0", own: true}},
		"what another process has open":      {lookup: lookup{path: "/proc/" + strconv.Itoa(os.Getpid()) + "/cwd", own: true}, want: unix.EACCES},
		"the same, where it may be":          {lookup: lookup{path: "/proc/" + strconv.Itoa(os.Getpid()) + "/cwd"}},
		"relative to a descriptor not there": {lookup: lookup{path: "file", dir: 77}, want: unix.ENOENT},
	} {
		if x.tid = pid; x.dir == 0 {
			x.dir = unix.AT_FDCWD
		}
		fd, err := x.open()
		if err != x.want || err == nil && (unix.Fstat(fd, &st) != nil || (st.Mode&unix.S_IFMT == unix.S_IFLNK) != x.link) {
			t.Errorf("%s: %v, want %v; mode %o", name, err, x.want, st.Mode)
		}
		if err == nil {
			unix.Close(fd)
		}
	}
	if after := len(ownDescriptors()); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
