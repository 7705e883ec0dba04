//go:build linux && amd64

package difftest

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"golang.org/x/sys/unix"
)

// world is what all runs of a test share.
type world struct {
	path  string
	host  []*os.File // descriptors 3, 4, ... of the guests
	files []file
	segs  []*mm.File // System V segments
	ids   []int      // and their identifiers
}

// conditions are what a guest starts with.
type conditions struct {
	privileged, bottomUp bool
}

// config is what of this machine decides results.
func config() *mm.Config {
	read := func(name string) string {
		b, _ := os.ReadFile(name)
		return strings.TrimSpace(string(b))
	}
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(read(name)); err == nil {
			return n
		}
		return otherwise
	}
	chosen := func(name string) string {
		_, s, _ := strings.Cut(read(name), "[")
		s, _, _ = strings.Cut(s, "]")
		return s
	}
	const thp = "/sys/kernel/mm/transparent_hugepage/"
	_, noTHP := os.Stat(thp)
	_, noKSM := os.Stat("/sys/kernel/mm/ksm")
	shmem := chosen(thp + "shmem_enabled")
	_, noGigantic := os.Stat("/sys/kernel/mm/hugepages/hugepages-1048576kB")
	_, _, shstk := unix.RawSyscall(453, 0, 4096, ^uintptr(0))
	c := &mm.Config{
		TaskSize:      1<<47 - hostarch.PageSize,
		MmapMinAddr:   lowestHint(),
		DACMinAddr:    hostarch.Addr(number("/proc/sys/vm/mmap_min_addr", 4096)),
		MaxMapCount:   number("/proc/sys/vm/max_map_count", 65530),
		StackGuardGap: 256 * hostarch.PageSize,
		THP:           noTHP == nil,
		THPKnob:       chosen(thp+"enabled") != "never",
		ShmemHuge:     shmem != "" && shmem != "never" && shmem != "deny",
		NUMA:          true, KSM: noKSM == nil, MemFailure: true,
		DefaultHuge:   hostarch.HugePageSize,
		GiganticPages: noGigantic == nil,
		Overcommit:    limits.OvercommitMode(number("/proc/sys/vm/overcommit_memory", 0)),
		NoShadowStack: shstk == unix.ENOSYS,
	}
	if key, _, errno := unix.Syscall(unix.SYS_PKEY_ALLOC, 0, 0, 0); errno == 0 {
		c.Pkeys = true
		unix.Syscall(unix.SYS_PKEY_FREE, key, 0, 0)
	}
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) == nil {
		c.Memory = (si.Totalram + si.Totalswap) * uint64(si.Unit) / hostarch.PageSize
	}
	if _, last, ok := strings.Cut(read("/sys/devices/system/cpu/possible"), "-"); ok {
		n, _ := strconv.Atoi(last)
		c.CPUs = n + 1
	} else {
		c.CPUs = 1
	}
	return c
}

// lowestHint returns what the kernel makes of the lowest hint (mmap_min_addr).
func lowestHint() hostarch.Addr {
	addr, _, errno := unix.Syscall6(unix.SYS_MMAP, hostarch.PageSize, hostarch.PageSize, unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0), 0)
	if errno != 0 || addr >= 1<<24 {
		return hostarch.PageSize
	}
	unix.Syscall(unix.SYS_MUNMAP, addr, hostarch.PageSize, 0)
	return hostarch.Addr(addr)
}

// newWorld builds the guest and makes what it maps.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{path: buildGuest(t)}
	w.diskFiles(t, filepath.Dir(w.path))
	w.memFiles(t)
	w.otherFiles(t)
	w.segments(t)
	return w
}

const filePages = 16

// add makes h a descriptor of the guests'.
func (w *world) add(t *testing.T, what string, h *os.File, err error, f *mm.File) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	t.Cleanup(func() { h.Close() })
	if f != nil {
		var st syscall.Stat_t
		if err := syscall.Fstat(int(h.Fd()), &st); err != nil {
			t.Fatal(err)
		}
		f.Dev, f.Ino = st.Dev, st.Ino
	}
	w.files = append(w.files, file{fd: uint64(3 + len(w.host)), what: what, file: f})
	w.host = append(w.host, h)
}

// open adds the file at path.
func (w *world) open(t *testing.T, what, path string, flags int, f *mm.File) {
	t.Helper()
	h, err := os.OpenFile(path, flags, 0)
	w.add(t, what, h, err, f)
}

func isTHPArea(path string) bool {
	var fs unix.Statfs_t
	unix.Statfs(path, &fs)
	return fs.Type == unix.EXT4_SUPER_MAGIC || fs.Type == unix.XFS_SUPER_MAGIC || fs.Type == unix.BTRFS_SUPER_MAGIC
}

// diskFiles opens files of the root filesystem with all access modes.
func (w *world) diskFiles(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, make([]byte, filePages*hostarch.PageSize), 0o666); err != nil {
		t.Fatal(err)
	}
	thp := isTHPArea(path)
	disk := func(readable, writable bool) *mm.File {
		return &mm.File{Readable: readable, Writable: writable, THPArea: thp, Size: filePages * hostarch.PageSize}
	}
	w.open(t, "file, read-write", path, os.O_RDWR, disk(true, true))
	w.open(t, "file, opened again", path, os.O_RDWR, disk(true, true))
	w.open(t, "file, read-only", path, os.O_RDONLY, disk(true, false))
	w.open(t, "file, write-only", path, os.O_WRONLY, disk(false, true))
	w.open(t, "file, O_PATH", path, unix.O_PATH, nil)
	w.open(t, "directory", dir, os.O_RDONLY, &mm.File{Kind: mm.Unmappable, Readable: true, MaxSize: math.MaxUint64})

	appended := filepath.Join(dir, "append")
	if err := os.WriteFile(appended, make([]byte, filePages*hostarch.PageSize), 0o666); err != nil {
		t.Fatal(err)
	}
	only, err := os.Open(appended)
	if err != nil {
		t.Fatal(err)
	}
	defer only.Close()
	const appendFlag = 0x20 // FS_APPEND_FL
	flags, err := unix.IoctlGetInt(int(only.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(only.Fd()), unix.FS_IOC_SETFLAGS, flags|appendFlag)
	}
	if err != nil {
		t.Logf("no append-only file: %v", err)
		return
	}
	f := disk(true, true)
	f.AppendOnly = true
	w.open(t, "append-only file, read-write", appended, os.O_RDWR|os.O_APPEND, f)
	f = disk(true, false)
	f.AppendOnly = true
	w.open(t, "append-only file, read-only", appended, os.O_RDONLY, f)
	t.Cleanup(func() {
		if h, err := os.Open(appended); err == nil {
			unix.IoctlSetPointerInt(int(h.Fd()), unix.FS_IOC_SETFLAGS, flags)
			h.Close()
		}
	})
}

// memFiles makes memfds and files of tmpfs.
func (w *world) memFiles(t *testing.T) {
	t.Helper()
	const size = 64 * hostarch.PageSize
	memfd := func(what string, flags int, seals uint32) int {
		fd, err := unix.MemfdCreate("diff", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|flags)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := unix.Ftruncate(fd, size); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, int(seals)); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		w.add(t, what, os.NewFile(uintptr(fd), what), nil, &mm.File{Kind: mm.Shmem, Name: "/memfd:diff (deleted)",
			Readable: true, Writable: true, Seals: seals, Size: size})
		return fd
	}
	again := func(what string, fd, mode int, seals uint32) {
		w.open(t, what, fmt.Sprintf("/proc/self/fd/%d", fd), mode, &mm.File{Kind: mm.Shmem, Name: "/memfd:diff (deleted)",
			Readable: mode != os.O_WRONLY, Writable: mode != os.O_RDONLY, Seals: seals, Size: size})
	}
	fd := memfd("memfd", 0, 0)
	again("memfd, write-only", fd, os.O_WRONLY, 0)
	again("memfd, read-only", fd, os.O_RDONLY, 0)
	memfd("memfd, write seal", 0, linux.F_SEAL_WRITE)
	fd = memfd("memfd, future-write seal", 0, linux.F_SEAL_FUTURE_WRITE)
	again("memfd, future-write seal, read-only", fd, os.O_RDONLY, linux.F_SEAL_FUTURE_WRITE)
	memfd("memfd, exec seal", unix.MFD_NOEXEC_SEAL, linux.F_SEAL_EXEC)

	tmp, err := os.CreateTemp("/dev/shm", "runsbx-diff")
	if err == nil {
		os.Remove(tmp.Name())
		err = tmp.Truncate(size)
	}
	w.add(t, "file of tmpfs", tmp, err, &mm.File{Kind: mm.Shmem, Name: "/dev/shm/file", Readable: true, Writable: true, Size: size})

	w.mountedFiles(t, size)
}

// mountedFiles makes files on mounts of their own, which only one thread sees: one from which nothing is
// executed, and one that has huge pages whatever the machine's setting for others is.
func (w *world) mountedFiles(t *testing.T, size uint64) {
	t.Helper()
	type mounted struct {
		rw, ro, huge *os.File
		err          error
	}
	done := make(chan mounted)
	dir, huge := t.TempDir(), t.TempDir()
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		var m mounted
		m.err = unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
		if m.err == nil {
			m.err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if m.err == nil {
			m.err = unix.Mount("none", dir, "tmpfs", unix.MS_NOEXEC, "")
		}
		if m.err == nil {
			m.rw, m.err = os.OpenFile(filepath.Join(dir, "file"), os.O_RDWR|os.O_CREATE, 0o666)
		}
		if m.err == nil {
			m.ro, m.err = os.Open(filepath.Join(dir, "file"))
		}
		if m.err == nil {
			m.err = m.rw.Truncate(int64(size))
		}
		if m.err == nil {
			m.err = unix.Mount("none", huge, "tmpfs", 0, "huge=advise")
		}
		if m.err == nil {
			m.huge, m.err = os.OpenFile(filepath.Join(huge, "file"), os.O_RDWR|os.O_CREATE, 0o666)
		}
		if m.err == nil {
			m.err = m.huge.Truncate(int64(size))
		}
		done <- m
	}()
	m := <-done
	if m.err != nil {
		t.Logf("no mounts of one's own: %v", m.err)
		return
	}
	f := mm.File{Kind: mm.Shmem, Name: "/noexec/file", Readable: true, Writable: true, NoExec: true, Size: size}
	ro := f
	ro.Writable = false
	w.add(t, "file of a noexec tmpfs", m.rw, nil, &f)
	w.add(t, "file of a noexec tmpfs, read-only", m.ro, nil, &ro)
	w.add(t, "file of a tmpfs with huge pages", m.huge, nil, &mm.File{Kind: mm.Shmem, Name: "/huge/file", Readable: true, Writable: true,
		THPArea: true, Size: size})
}

// otherFiles opens devices, what cannot be mapped, and what is no descriptor.
func (w *world) otherFiles(t *testing.T) {
	t.Helper()
	w.open(t, "/dev/zero", "/dev/zero", os.O_RDWR, &mm.File{Kind: mm.DevZero, Readable: true, Writable: true, MaxSize: math.MaxUint64})
	w.open(t, "/dev/zero, read-only", "/dev/zero", os.O_RDONLY, &mm.File{Kind: mm.DevZero, Readable: true, MaxSize: math.MaxUint64})
	w.open(t, "/dev/null", "/dev/null", os.O_RDWR, &mm.File{Kind: mm.Unmappable, Readable: true, Writable: true, MaxSize: math.MaxUint64})
	r, p, err := os.Pipe()
	w.add(t, "pipe, reading end", r, err, &mm.File{Kind: mm.Unmappable, NoExec: true, Readable: true, MaxSize: math.MaxUint64})
	w.add(t, "pipe, writing end", p, err, &mm.File{Kind: mm.Unmappable, NoExec: true, Writable: true, MaxSize: math.MaxUint64})
	if fd, err := unix.MemfdCreate("huge", unix.MFD_CLOEXEC|unix.MFD_HUGETLB); err != nil {
		t.Logf("no memfd of huge pages: %v", err)
	} else {
		err = unix.Ftruncate(fd, 8<<20)
		w.add(t, "memfd of huge pages", os.NewFile(uintptr(fd), "huge"), err, &mm.File{Kind: mm.Hugetlb, Name: "/memfd:huge (deleted)",
			Readable: true, Writable: true, HugeSize: hostarch.HugePageSize, Size: 8 << 20})
	}
	for _, fd := range []uint64{500, 1<<31 - 1, 1<<32 - 1} {
		w.files = append(w.files, file{fd: fd, what: fmt.Sprintf("no descriptor %d", int32(fd))})
	}
}

// segments makes System V segments.
func (w *world) segments(t *testing.T) {
	t.Helper()
	for _, size := range []uint64{5*hostarch.PageSize + 1, 2 << 20} {
		id, err := unix.SysvShmGet(unix.IPC_PRIVATE, int(size), unix.IPC_CREAT|0o777)
		if err != nil {
			t.Fatal(err)
		}
		// Attached here and marked for removal, it can be attached further, and is gone with us.
		own, err := unix.SysvShmAttach(id, 0, unix.SHM_RDONLY)
		unix.SysvShmCtl(id, unix.IPC_RMID, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.SysvShmDetach(own) })
		w.segs = append(w.segs, &mm.File{Kind: mm.SysV, Size: size, Dev: 1, Ino: uint64(id)})
		w.ids = append(w.ids, id)
	}
}
