package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// Filesystem magic numbers (include/uapi/linux/magic.h).
const (
	ext4Magic      = 0xef53
	xfsMagic       = 0x58465342
	btrfsMagic     = 0x9123683e
	tmpfsMagic     = 0x01021994
	hugetlbfsMagic = 0x958458f6
	ramfsMagic     = 0x858458f6
	overlayMagic   = 0x794c7630
	f2fsMagic      = 0xf2f52010
	nfsMagic       = 0x6969
	squashfsMagic  = 0x73717368
	erofsMagic     = 0xe0f5e1e2
	isofsMagic     = 0x9660
	vfatMagic      = 0x4d44
	fuseMagic      = 0x65735546
	secretmemMagic = 0x5345434d
	procMagic      = 0x9fa0
	sysfsMagic     = 0x62656572
)

// devZero is /dev/zero's number among the memory devices.
const (
	memMajor  = 1
	zeroMinor = 5
)

// File implements kernel.Host: it looks at the file behind a descriptor of the task without
// opening it again, so that nothing of it is disturbed. Descriptors are looked up in /proc, which
// works where pidfd_getfd(2) is not permitted, and for threads whose descriptor table is their own.
func (m *machine) File(t *kernel.Task, fd int32) (*mm.File, error) {
	if fd < 0 {
		return nil, linux.EBADF
	}
	f, err := m.openFile(t.TID, strconv.Itoa(int(fd)))
	if errors.Is(err, unix.ENOENT) && !dying(t.TID) {
		return nil, linux.EBADF // closed, perhaps by another thread while we looked
	}
	return f, err
}

func (m *machine) openFile(tid int, num string) (*mm.File, error) {
	path := procPath(tid, "fd/"+num)
	info, err := m.read(tid, "fdinfo/"+num)
	if err != nil {
		return nil, err
	}
	flags, err := fdinfoFlags(info)
	if err != nil {
		return nil, err
	}
	if flags&unix.O_PATH != 0 {
		return nil, linux.EBADF
	}
	ofd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, m.looked("open", tid, "fd/"+num, err)
	}
	defer unix.Close(ofd)
	var st unix.Statx_t
	if err := unix.Statx(ofd, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &st); err != nil {
		return nil, fmt.Errorf("statx %s: %w", path, err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(ofd, &fs); err != nil {
		return nil, fmt.Errorf("fstatfs %s: %w", path, err)
	}
	name, err := os.Readlink(procSelfFd(ofd))
	if err != nil {
		return nil, err
	}
	f := &mm.File{
		Name:           name,
		Dev:            unix.Mkdev(st.Dev_major, st.Dev_minor),
		Ino:            st.Ino,
		Readable:       flags&unix.O_ACCMODE != unix.O_WRONLY,
		Writable:       flags&unix.O_ACCMODE != unix.O_RDONLY,
		AppendOnly:     st.Attributes&unix.STATX_ATTR_APPEND != 0,
		NoExec:         fs.Flags&unix.ST_NOEXEC != 0,
		DAX:            st.Attributes&unix.STATX_ATTR_DAX != 0,
		UnsureIdentity: true,
	}
	classify(f, &st, &fs)
	if f.Kind == mm.Shmem || f.Kind == mm.Hugetlb {
		f.Seals = seals(path)
	}
	return f, nil
}

// classify says which of the kernel's file operations the file has.
func classify(f *mm.File, st *unix.Statx_t, fs *unix.Statfs_t) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		switch fs.Type {
		case ext4Magic, xfsMagic, btrfsMagic:
			f.Kind, f.THPArea = mm.Regular, true
		case overlayMagic, f2fsMagic, nfsMagic, squashfsMagic, erofsMagic, isofsMagic, vfatMagic, ramfsMagic:
			f.Kind = mm.Regular
		case tmpfsMagic:
			f.Kind = mm.Shmem
		case hugetlbfsMagic:
			f.Kind, f.HugeSize = mm.Hugetlb, uint64(fs.Bsize)
		case secretmemMagic:
			f.Kind, f.NoExec, f.MapFlags = mm.Device, true, mm.VM_LOCKED|mm.VM_DONTDUMP
		default: // /proc, /sys, FUSE, ...: their own mmap decides
			f.Kind = mm.Device
		}
		if fs.Type == btrfsMagic || fs.Type == overlayMagic {
			// What stat(2) and /proc/PID/maps show differ there.
			f.Dev, f.Ino = 0, 0
		}
	case unix.S_IFDIR, unix.S_IFLNK:
		f.Kind = mm.Unmappable
		if fs.Type == procMagic || fs.Type == sysfsMagic {
			f.Kind = mm.Device // from these nothing is executed, which is refused before
		}
	case unix.S_IFCHR:
		f.Kind = mm.Device
		if st.Rdev_major == memMajor && st.Rdev_minor == zeroMinor {
			f.Kind = mm.DevZero
		}
	default:
		f.Kind = mm.Device
	}
	if unboundedOffsets(st.Mode&unix.S_IFMT, fs.Type) {
		f.MaxSize = math.MaxUint64
	}
}

// unboundedOffsets reports whether a file of this type may be mapped at any offset, as far as the
// kernel is concerned before it asks the driver (file_mmap_size_max).
func unboundedOffsets(format uint16, fs int64) bool {
	switch format {
	case unix.S_IFREG, unix.S_IFBLK, unix.S_IFSOCK:
		return false
	case 0: // anonymous inodes show no type; that of a pidfd is a regular file's
		return fs != unix.PID_FS_MAGIC
	}
	return true
}

// fdinfoFlags returns the open flags in the text of /proc/PID/fdinfo/N.
func fdinfoFlags(info []byte) (uint64, error) {
	_, rest, ok := bytes.Cut(info, []byte("flags:\t"))
	line, _, ok2 := bytes.Cut(rest, []byte("\n"))
	if !ok || !ok2 {
		return 0, fmt.Errorf("fdinfo without flags: %q", info)
	}
	return strconv.ParseUint(strings.TrimSpace(string(line)), 8, 64)
}

// seals returns the seals of a memfd or tmpfs file; zero when they cannot be read, since such a
// file has none in practice.
func seals(path string) uint32 {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	s, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return 0
	}
	return uint32(s)
}
