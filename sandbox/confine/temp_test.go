package confine

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

func newTemp(t *testing.T) *Temp {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	tmp, err := NewTemp()
	if err != nil {
		t.Fatal(err)
	}
	return tmp
}

// TestRemove: everything goes, whatever the program did to it, and nothing else.
func TestRemove(t *testing.T) {
	tmp := newTemp(t)
	outside := filepath.Join(t.TempDir(), "kept")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(outside, 0o755))
	must(os.WriteFile(filepath.Join(outside, "file"), nil, 0o600))
	must(os.Symlink(outside, filepath.Join(tmp.Path, "link")))
	must(syscall.Mkfifo(filepath.Join(tmp.Path, "fifo"), 0))
	must(os.Symlink("nowhere", filepath.Join(tmp.Path, ".1")))
	must(os.Mkdir(filepath.Join(tmp.Path, ".2"), 0))
	must(os.MkdirAll(filepath.Join(tmp.Path, "a/b/c"), 0o755))
	must(os.WriteFile(filepath.Join(tmp.Path, "a/b/c/file"), nil, 0))
	must(os.Symlink(outside, filepath.Join(tmp.Path, "a/b/link")))
	must(os.Chmod(filepath.Join(tmp.Path, "a/b/c"), 0))
	must(os.Chmod(filepath.Join(tmp.Path, "a/b"), 0o111))
	must(os.Chmod(filepath.Join(tmp.Path, "a"), 0o500))
	must(os.Mkdir(filepath.Join(tmp.Path, "none"), 0))
	must(os.Chmod(tmp.Path, 0o500))
	must(tmp.Remove())
	if _, err := os.Lstat(tmp.Path); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(outside, "file")); err != nil {
		t.Error(err)
	}
}

// TestRemoveDeep: directories deeper than any path, and more of them than descriptors.
func TestRemoveDeep(t *testing.T) {
	tmp := newTemp(t)
	fd, err := syscall.Open(tmp.Path, syscall.O_DIRECTORY, 0)
	for range 5000 {
		if err == nil {
			err = syscall.Mkdirat(fd, "some-longer-name", 0o755)
		}
		var next int
		if err == nil {
			next, err = syscall.Openat(fd, "some-longer-name", syscall.O_DIRECTORY, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		syscall.Close(fd)
		fd = next
	}
	syscall.Close(fd)
	for i := range 3000 {
		if err := os.WriteFile(filepath.Join(tmp.Path, strconv.Itoa(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := tmp.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(tmp.Path); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
}

func TestTempEnviron(t *testing.T) {
	tmp := Temp{Path: "/private"}
	got := tmp.Environ([]string{"A=1", "TMPDIR=/x", "TMP=/y", "odd", "TMPDIRS=z", "TMPDIR=again", "HOME=/home/me", "HOME=/work"},
		func(home string) bool { return home == "/home/me" })
	want := []string{"A=1", "TMP=/private", "odd", "TMPDIRS=z", "HOME=/private", "HOME=/work", "TMPDIR=/private"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
