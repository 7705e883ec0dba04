package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/kernel"
)

// inodes hears of the ends of memory files. An inotify watch keeps nothing alive, and its event
// (IN_DELETE_SELF) comes with the last reference of whatever kind: a name, a descriptor (of O_PATH as
// well), a mapping, a message in a socket, another process anywhere. So we hold no descriptors of the
// program's files. Where a file had several names, and has none any more, the event comes with the last
// reference that came by one of them: who is told looks whether there are others.
type inodes struct {
	fd      int // inotify's, once there is a watch
	watched map[int32]kernel.FileID
}

// add has the end of the file at path, which is id, told by ended.
func (n *inodes) add(path string, id kernel.FileID) error {
	if n.watched == nil {
		fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
		if err != nil {
			return err
		}
		n.fd, n.watched = fd, make(map[int32]kernel.FileID)
	}
	wd, err := unix.InotifyAddWatch(n.fd, path, unix.IN_DELETE_SELF)
	if err != nil {
		return err
	}
	n.watched[int32(wd)] = id
	return nil
}

// ended returns the files that have ended since the last time.
func (n *inodes) ended() (ids []kernel.FileID) {
	if len(n.watched) == 0 {
		return nil
	}
	var b [4096]byte
	for {
		got, err := unix.Read(n.fd, b[:])
		if err == unix.EINTR {
			continue
		}
		if got <= 0 {
			return ids
		}
		for ev := b[:got]; len(ev) >= unix.SizeofInotifyEvent; {
			wd, mask := int32(binary.NativeEndian.Uint32(ev)), binary.NativeEndian.Uint32(ev[4:])
			if mask&unix.IN_Q_OVERFLOW != 0 {
				ids = append(ids, n.lost()...)
			} else if id, ok := n.watched[wd]; ok {
				delete(n.watched, wd)
				ids = append(ids, id)
			}
			ev = ev[unix.SizeofInotifyEvent+binary.NativeEndian.Uint32(ev[12:]):]
		}
	}
}

// lost returns the files whose ends the kernel had no room to tell: those that it watches no more.
func (n *inodes) lost() (ids []kernel.FileID) {
	b, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(n.fd))
	if err != nil {
		return nil
	}
	living := make(map[int32]bool)
	for _, line := range bytes.Split(b, []byte("\n")) {
		if rest, ok := bytes.CutPrefix(line, []byte("inotify wd:")); ok {
			word, _, _ := bytes.Cut(rest, []byte(" "))
			wd, _ := strconv.ParseInt(string(word), 16, 32)
			living[int32(wd)] = true
		}
	}
	for wd, id := range n.watched {
		if !living[wd] {
			delete(n.watched, wd)
			ids = append(ids, id)
		}
	}
	return ids
}

func (n *inodes) close() {
	if n.watched != nil {
		unix.Close(n.fd)
		n.watched = nil
	}
}

// EndedFiles implements kernel.Host.
func (m *machine) EndedFiles() []kernel.FileID { return m.inodes.ended() }

// HasOpen implements kernel.Host.
func (m *machine) HasOpen(t *kernel.Task, id kernel.FileID) bool {
	dir, err := os.Open(procPath(t.TID, "fd"))
	if err != nil {
		return false // it has ended
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		var st unix.Stat_t
		if unix.Stat(procPath(t.TID, "fd/"+name), &st) == nil && st.Dev == id.Dev && st.Ino == id.Ino {
			return true
		}
	}
	return false
}

// memoryFile is what there is to know of a regular file in memory.
type memoryFile struct {
	id    kernel.FileID
	size  uint64 // bytes
	pages uint64 // what it is charged by: its size, or its blocks where they reach beyond
	unit  uint64 // what the filesystem gives it at a time: a page, or a huge page
	huge  bool   // it is of hugetlbfs, and grows when it is mapped
}

// pagesFor returns what a file of that size is charged, in pages.
func (f *memoryFile) pagesFor(size uint64) uint64 {
	return hostarch.Pages((size + f.unit - 1) / f.unit * f.unit)
}

// memoryFile looks at the file at path, and returns nil when it is not a regular file in memory.
func (m *machine) memoryFile(path string) (*memoryFile, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, nil
	}
	if in, err := m.inMemory(path, st.Dev); !in {
		return nil, err
	}
	f := memoryFileOf(&st)
	f.huge = m.memoryDevs[st.Dev] == hugetlbfsMagic
	return f, nil
}

func memoryFileOf(st *unix.Stat_t) *memoryFile {
	f := &memoryFile{id: kernel.FileID{Dev: st.Dev, Ino: st.Ino}, size: uint64(st.Size), unit: uint64(st.Blksize)}
	if f.unit < hostarch.PageSize {
		f.unit = hostarch.PageSize
	}
	const sector = 512
	f.pages = max(f.pagesFor(f.size), hostarch.Pages(uint64(st.Blocks)*sector+hostarch.PageSize-1))
	return f
}

// inMemory reports whether the filesystem of path, which has device number dev, keeps its contents in
// memory.
func (m *machine) inMemory(path string, dev uint64) (bool, error) {
	if unix.Major(dev) != 0 {
		return false, nil // a block device
	}
	if m.memoryDevs[dev] != 0 {
		return true, nil
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return false, err
	}
	if !keepsInMemory(&fs) {
		return false, nil
	}
	if m.memoryDevs == nil {
		m.memoryDevs = make(map[uint64]int64)
	}
	m.memoryDevs[dev] = fs.Type
	return true, nil
}

func keepsInMemory(fs *unix.Statfs_t) bool {
	switch fs.Type {
	case tmpfsMagic, ramfsMagic, hugetlbfsMagic, secretmemMagic:
		return true
	}
	return false
}

// fdPath returns the path of descriptor fd of the thread, in /proc.
func fdPath(tid int, fd int32) string { return procPath(tid, "fd/"+strconv.Itoa(int(fd))) }

// ownedFile is a file of the program's that we may work on in its place.
type ownedFile struct {
	fd     int
	same   bool   // it is the program's own open file description
	offset uint64 // of the program's
	append bool
	memoryFile
}

// errNotMemory says that there is no regular file in memory behind a descriptor.
var errNotMemory = errors.New("not a memory file")

// take returns the memory file behind the program's descriptor, open for writing as that is. It is
// EBADF where that is not open for writing.
func (m *machine) take(tid int, fd int32) (*ownedFile, error) {
	f := &ownedFile{same: true}
	var err error
	if f.fd, err = m.getFd(tid, fd); err == unix.EPERM || err == unix.ENOSYS {
		f.same = false
		f.fd, err = unix.Open(fdPath(tid, fd), unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	if err := m.lookAt(tid, fd, f); err != nil {
		unix.Close(f.fd)
		return nil, err
	}
	return f, nil
}

// look looks at the file itself.
func (m *machine) look(f *ownedFile) error {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return err
	}
	in := false
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		in, _ = m.inMemory(procSelfFd(f.fd), st.Dev)
	}
	if !in {
		return errNotMemory
	}
	f.memoryFile = *memoryFileOf(&st)
	return nil
}

// lookAt looks at it and at the program's descriptor.
func (m *machine) lookAt(tid int, fd int32, f *ownedFile) error {
	if err := m.look(f); err != nil {
		return err
	}
	var flags uint64
	if f.same {
		v, err := unix.FcntlInt(uintptr(f.fd), unix.F_GETFL, 0)
		if err != nil {
			return err
		}
		at, err := unix.Seek(f.fd, 0, unix.SEEK_CUR)
		if err != nil {
			return err
		}
		flags, f.offset = uint64(v), uint64(at)
	} else {
		info, err := m.read(tid, "fdinfo/"+strconv.Itoa(int(fd)))
		if err != nil {
			return err
		}
		if flags, err = fdinfoFlags(info); err != nil {
			return err
		}
		_, rest, _ := bytes.Cut(info, []byte("pos:\t"))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		if f.offset, err = strconv.ParseUint(string(line), 10, 64); err != nil {
			return err
		}
	}
	if mode := flags & unix.O_ACCMODE; flags&unix.O_PATH != 0 || mode != unix.O_WRONLY && mode != unix.O_RDWR {
		return unix.EBADF
	}
	f.append = flags&unix.O_APPEND != 0
	return nil
}

// likeUs reports whether the thread has our identity and capabilities, so that what we may it may.
func (m *machine) likeUs(tid int) bool {
	theirs, err := os.ReadFile(procPath(tid, "status"))
	ours, err2 := os.ReadFile("/proc/thread-self/status")
	if err != nil || err2 != nil {
		return false
	}
	for _, name := range []string{"Uid", "Gid", "Groups", "CapEff"} {
		if statusField(string(theirs), name) != statusField(string(ours), name) {
			return false
		}
	}
	return true
}

// getFd returns a duplicate of the thread's descriptor. EPERM says that this is not permitted here.
func (m *machine) getFd(tid int, fd int32) (int, error) {
	if !ptrace.CanGetFd() {
		return -1, unix.EPERM
	}
	pidfd, err := threadPidfd(tid)
	if err != nil {
		return -1, err
	}
	defer unix.Close(pidfd)
	return unix.PidfdGetfd(pidfd, int(fd), 0)
}

// threadPidfd returns a pidfd by which the thread's descriptors can be had.
func threadPidfd(tid int) (int, error) {
	const pidfdThread = unix.O_EXCL // PIDFD_THREAD, since Linux 6.9
	pidfd, err := unix.PidfdOpen(tid, pidfdThread)
	if err == unix.EINVAL {
		return leaderPidfd(tid)
	}
	return pidfd, err
}

// leaderPidfd returns a pidfd of the thread's process, which stands for its leader's descriptors: the
// thread's own are others where it has left CLONE_FILES, which is EPERM.
func leaderPidfd(tid int) (int, error) {
	tgid, err := groupOf(tid)
	if err != nil {
		return -1, err
	}
	const kcmpFiles = 2
	if tgid != tid {
		if same, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(tid), uintptr(tgid), kcmpFiles, 0, 0, 0); errno != 0 || same != 0 {
			return -1, unix.EPERM
		}
	}
	return unix.PidfdOpen(tgid, 0)
}
