package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sentry/kernel"
)

// memfd returns a memfd, its path for us, and its identity.
func memfd(t *testing.T, m *machine) (fd int, path string, id kernel.FileID) {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	path = "/proc/self/fd/" + strconv.Itoa(fd)
	f, err := m.memoryFile(path)
	if err != nil || f == nil {
		t.Fatalf("%+v, %v", f, err)
	}
	return fd, path, f.id
}

// TestInodesEnd: the end of a file is told when its last reference goes, whatever that is.
func TestInodesEnd(t *testing.T) {
	m := &machine{}
	defer m.inodes.close()
	for name, keep := range map[string]func(fd int) (release func()){
		"descriptor": func(fd int) func() {
			other, _ := unix.Dup(fd)
			return func() { unix.Close(other) }
		},
		"O_PATH": func(fd int) func() {
			other, _ := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_PATH|unix.O_CLOEXEC, 0)
			return func() { unix.Close(other) }
		},
		"mapping": func(fd int) func() {
			unix.Ftruncate(fd, 4096)
			b, _ := unix.Mmap(fd, 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
			return func() { unix.Munmap(b) }
		},
		"message": func(fd int) func() {
			pair, _ := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			unix.Sendmsg(pair[0], []byte("x"), unix.UnixRights(fd), nil, 0)
			return func() { unix.Close(pair[0]); unix.Close(pair[1]) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			fd, path, id := memfd(t, m)
			if err := m.inodes.add(path, id); err != nil {
				t.Fatal(err)
			}
			release := keep(fd)
			unix.Close(fd)
			if got := m.inodes.ended(); len(got) != 0 {
				t.Errorf("%v have ended, and one is kept", got)
			}
			release()
			if got := m.inodes.ended(); len(got) != 1 || got[0] != id {
				t.Errorf("%v have ended, want %v", got, id)
			}
		})
	}
}

// TestInodesLost: ends that the kernel had no room to tell are found.
func TestInodesLost(t *testing.T) {
	m := &machine{}
	defer m.inodes.close()
	kept, path, id := memfd(t, m)
	defer unix.Close(kept)
	if err := m.inodes.add(path, id); err != nil {
		t.Fatal(err)
	}
	const n = 10
	for range n {
		fd, path, id := memfd(t, m)
		if err := m.inodes.add(path, id); err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
	}
	if got := m.inodes.lost(); len(got) != n {
		t.Errorf("%d have ended, want %d", len(got), n)
	}
	if got := m.inodes.ended(); len(got) != 0 { // which are told nevertheless
		t.Errorf("%v have ended twice", got)
	}
	if len(m.inodes.watched) != 1 {
		t.Errorf("%d are left, want 1", len(m.inodes.watched))
	}
}

// TestMemoryFileKinds: what is in memory, and what is not.
func TestMemoryFileKinds(t *testing.T) {
	m := &machine{}
	disk := filepath.Join(t.TempDir(), "file")
	os.WriteFile(disk, []byte("x"), 0o600)
	var fs unix.Statfs_t
	if err := unix.Statfs(disk, &fs); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{disk: keepsInMemory(&fs), "/dev/null": false, "/proc/self/maps": false, "/dev/shm": false} {
		if f, err := m.memoryFile(path); err != nil || (f != nil) != want {
			t.Errorf("%s: %+v, %v", path, f, err)
		}
	}
	fd, path, _ := memfd(t, m)
	defer unix.Close(fd)
	unix.Ftruncate(fd, 4097)
	if f, _ := m.memoryFile(path); f.pages != f.unit>>12 && f.pages != 2 || f.size != 4097 {
		t.Errorf("%+v", f)
	}
	unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, 100<<12)
	if f, _ := m.memoryFile(path); f.pages < 100 || f.size != 4097 {
		t.Errorf("%+v", f)
	}
}

// TestGrowthFilterFits: the filter is handed over in what is left of a page of the vdso.
func TestGrowthFilterFits(t *testing.T) {
	b, err := growthFilter().Export()
	if err != nil {
		t.Fatal(err)
	}
	const room = 1024 // section headers of a vdso alone have it
	if len(b)+16 > room {
		t.Errorf("%d bytes", len(b))
	}
}
