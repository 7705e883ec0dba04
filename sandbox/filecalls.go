package sandbox

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sandbox/confine"
	"github.com/runsbx/runsbx/sentry/linux"
)

// Landlock lets everybody change the modes, owners, times and attributes of files that it lets nobody open,
// and watch them. So these calls are made by the supervisor in the program's place: it opens the file without
// access to its contents (O_PATH), looks where that is, and then works on what it has open, which nothing can
// exchange any more. The calls' newer forms, which programs do without, are refused (confine.Calls).

// fileCalls are those calls.
var fileCalls = [...]uint64{
	linux.SYS_CHMOD, linux.SYS_FCHMOD, linux.SYS_FCHMODAT, linux.SYS_FCHMODAT2,
	linux.SYS_CHOWN, linux.SYS_FCHOWN, linux.SYS_LCHOWN, linux.SYS_FCHOWNAT,
	linux.SYS_UTIME, linux.SYS_UTIMES, linux.SYS_FUTIMESAT, linux.SYS_UTIMENSAT,
	linux.SYS_SETXATTR, linux.SYS_LSETXATTR, linux.SYS_FSETXATTR,
	linux.SYS_REMOVEXATTR, linux.SYS_LREMOVEXATTR, linux.SYS_FREMOVEXATTR,
	linux.SYS_INOTIFY_ADD_WATCH,
}

// object is the file that a call is about, as the call names it.
type object struct {
	dir      int    // a descriptor, or AT_FDCWD
	path     uint64 // the address of a path, which is relative to dir; 0: dir itself
	nofollow bool
	empty    bool // an empty path is dir itself
}

// fileCall is one call as the supervisor makes it.
type fileCall struct {
	object
	watches bool
	inotify int // for a watch: the program's descriptor, then ours
	do      operation
}

// makeFileCall makes a call of thread tid's in its place; ok is false for another kind of call.
func (x *confinement) makeFileCall(tid int, call *ptrace.Syscall) (a ptrace.Action, ok bool) {
	if x == nil || !slices.Contains(fileCalls[:], call.Nr) {
		return a, false
	}
	ret, errno := x.runFileCall(tid, call)
	if errno != 0 {
		ret = -int64(errno)
	}
	return ptrace.Action{Kind: ptrace.Return, Value: ret}, true
}

func (x *confinement) runFileCall(tid int, call *ptrace.Syscall) (ret int64, errno unix.Errno) {
	c, errno := decodeFileCall(tid, call)
	if errno != 0 {
		return 0, errno
	}
	if c.watches {
		if c.inotify, errno = inotifyOf(tid, c.inotify); errno != 0 {
			return 0, errno
		}
		defer unix.Close(c.inotify)
	}
	l, errno := c.lookup(tid)
	if errno != 0 {
		return 0, errno
	}
	// A program that has changed its user may not be looked at by that user.
	w, err := l.begin()
	if _, errno = errnoOf(0, err); errno == unix.ENOENT && l.dir != unix.AT_FDCWD {
		errno = unix.EBADF
	}
	if errno != 0 {
		return 0, errno
	}
	defer w.end()
	failure := withIdentity(tid, fileCapabilities, func() {
		var fd int
		if fd, errno = errnoOf(w.follow()); errno != 0 {
			return
		}
		defer unix.Close(fd)
		if through := procSelfFd(fd); x.permits(pathOf(fd, through), c.watches) {
			ret, errno = c.do(fd, through)
		} else {
			errno = unix.EPERM
		}
	})
	if failure != nil {
		errno = unix.EPERM
	}
	return ret, errno
}

// fileCapabilities are those that matter to what these calls do.
const fileCapabilities = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID

// pathOf returns the path of an open file as /proc/PID/fd has it; "" where another file has this path for us:
// one that was found through /proc/PID/root of a process may be on mounts that are not ours.
func pathOf(fd int, through string) string {
	var buf [unix.PathMax]byte
	n, err := unix.Readlink(through, buf[:])
	var is, there unix.Stat_t
	if err != nil || unix.Fstat(fd, &is) != nil {
		return ""
	}
	path := string(buf[:n])
	if !filepath.IsAbs(path) || is.Nlink == 0 { // it has no name, or none any more
		return path
	}
	if unix.Lstat(path, &there) != nil || is.Dev != there.Dev || is.Ino != there.Ino {
		return ""
	}
	return path
}

// permits reports whether the program may change what the file with this path is, or watch it. The path is
// of the form of /proc/PID/fd.
func (x *confinement) permits(path string, watch bool) bool {
	if path == "" {
		return false
	}
	if !filepath.IsAbs(path) || strings.HasPrefix(path, "/memfd:") {
		return !strings.HasPrefix(path, "(") // a pipe, socket or the like: it has it open; not "(unreachable)"
	}
	grants := x.own
	if watch {
		grants = x.grants
	}
	return slices.ContainsFunc(grants, func(g confine.Grant) bool {
		return g.Covers(path) && g.Access&(confine.Read|confine.List|confine.Write) != 0
	})
}

// lookup returns what the call names.
func (o *object) lookup(tid int) (*lookup, unix.Errno) {
	// A pipe or memory file of another process has no path to go by, and Landlock would not let the program to it.
	l := &lookup{tid: tid, dir: int32(o.dir), nofollow: o.nofollow, own: true}
	if !sameRoot(procPath(tid, "")) {
		return nil, unix.EPERM // paths mean something else to it
	}
	if o.path != 0 {
		var errno unix.Errno
		if l.path, errno = readPath(tid, o.path); errno != 0 {
			return nil, errno
		}
		if l.path == "" && !o.empty {
			return nil, unix.ENOENT
		}
	} else if isPathOnly(tid, o.dir) {
		return nil, unix.EBADF
	}
	return l, 0
}

// isPathOnly reports whether a descriptor of a thread's was opened with O_PATH: it can begin a path, but no call
// that takes a descriptor alone knows it.
func isPathOnly(tid, fd int) bool {
	info, err := os.ReadFile(procPath(tid, "fdinfo/"+strconv.Itoa(fd)))
	if err != nil {
		return false
	}
	flags, err := fdinfoFlags(info)
	return err == nil && flags&unix.O_PATH != 0
}

// sameRoot reports whether a thread has our root directory.
func sameRoot(proc string) bool {
	var its, ours unix.Stat_t
	return unix.Stat(proc+"root", &its) == nil && unix.Stat("/", &ours) == nil && its.Dev == ours.Dev && its.Ino == ours.Ino
}

func errnoOf(fd int, err error) (int, unix.Errno) {
	if errno, ok := err.(unix.Errno); ok {
		return -1, errno
	}
	return fd, 0
}

// decodeFileCall returns what a call asks for.
func decodeFileCall(tid int, call *ptrace.Syscall) (*fileCall, unix.Errno) {
	a := call.Args
	c := new(fileCall)
	byPath := func(nofollow bool) object {
		return object{dir: unix.AT_FDCWD, path: address(a[0]), nofollow: nofollow}
	}
	at := object{dir: int(int32(a[0])), path: address(a[1])}
	byFd := object{dir: at.dir}
	if byFd.dir == unix.AT_FDCWD {
		byFd.dir = -1 // is none
	}
	flags := uint64(0)
	switch call.Nr {
	case linux.SYS_FCHMODAT2:
		flags = a[3]
	case linux.SYS_FCHOWNAT:
		flags = a[4]
	case linux.SYS_UTIMENSAT:
		flags = a[3]
	}
	if uint32(flags)&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return nil, unix.EINVAL
	}
	at.nofollow, at.empty = flags&unix.AT_SYMLINK_NOFOLLOW != 0, flags&unix.AT_EMPTY_PATH != 0
	var errno unix.Errno
	switch call.Nr {
	case linux.SYS_CHMOD:
		c.object, c.do = byPath(false), chmod(a[1])
	case linux.SYS_FCHMOD:
		c.object, c.do = byFd, chmod(a[1])
	case linux.SYS_FCHMODAT, linux.SYS_FCHMODAT2:
		c.object, c.do = at, chmod(a[2])
	case linux.SYS_CHOWN, linux.SYS_LCHOWN:
		c.object, c.do = byPath(call.Nr == linux.SYS_LCHOWN), chown(a[1], a[2])
	case linux.SYS_FCHOWN:
		c.object, c.do = byFd, chown(a[1], a[2])
	case linux.SYS_FCHOWNAT:
		c.object, c.do = at, chown(a[2], a[3])
	case linux.SYS_UTIME:
		c.object = byPath(false)
		c.do, errno = setTimes(tid, a[1], utimbuf)
	case linux.SYS_UTIMES:
		c.object = byPath(false)
		c.do, errno = setTimes(tid, a[1], timeval)
	case linux.SYS_FUTIMESAT, linux.SYS_UTIMENSAT:
		unit, times := timeval, a[2]
		if call.Nr == linux.SYS_UTIMENSAT {
			unit = timespec
		}
		if c.object = at; a[1] == 0 && at.dir != unix.AT_FDCWD {
			if c.object = byFd; flags != 0 {
				return nil, unix.EINVAL
			}
		}
		c.do, errno = setTimes(tid, times, unit)
	case linux.SYS_SETXATTR, linux.SYS_LSETXATTR, linux.SYS_REMOVEXATTR, linux.SYS_LREMOVEXATTR:
		c.object = byPath(call.Nr == linux.SYS_LSETXATTR || call.Nr == linux.SYS_LREMOVEXATTR)
		c.do, errno = setAttribute(tid, call)
	case linux.SYS_FSETXATTR, linux.SYS_FREMOVEXATTR:
		c.object = byFd
		c.do, errno = setAttribute(tid, call)
	case linux.SYS_INOTIFY_ADD_WATCH:
		c.watches = true
		c.object = object{dir: unix.AT_FDCWD, path: address(a[1]), nofollow: a[2]&unix.IN_DONT_FOLLOW != 0}
		c.inotify = int(int32(a[0]))
		c.do = func(_ int, path string) (int64, unix.Errno) {
			wd, err := unix.InotifyAddWatch(c.inotify, path, uint32(a[2])&^unix.IN_DONT_FOLLOW)
			_, errno := errnoOf(0, err)
			return int64(wd), errno
		}
	}
	return c, errno
}

// address returns the address of a path; a call that has none gets EFAULT.
func address(a uint64) uint64 {
	if a == 0 {
		return ^a
	}
	return a
}

// operation makes a call on a file, which is open as fd, and to which a path leads.
type operation func(fd int, path string) (int64, unix.Errno)

func chmod(mode uint64) operation {
	return func(_ int, path string) (int64, unix.Errno) {
		_, errno := errnoOf(0, unix.Fchmodat(unix.AT_FDCWD, path, uint32(mode), 0))
		return 0, errno
	}
}

func chown(uid, gid uint64) operation {
	return func(fd int, _ string) (int64, unix.Errno) {
		_, errno := errnoOf(0, unix.Fchownat(fd, "", int(int32(uid)), int(int32(gid)), unix.AT_EMPTY_PATH))
		return 0, errno
	}
}

// The forms in which calls take two times.
const (
	utimbuf  = iota // seconds alone
	timeval         // and microseconds
	timespec        // and nanoseconds, or what to do instead
)

// setTimes reads two times at addr; 0 there is now.
func setTimes(tid int, addr uint64, form int) (operation, unix.Errno) {
	var times *[4]int64
	if addr != 0 {
		b := make([]byte, 32)
		if form == utimbuf {
			b = b[:16]
		}
		if ptrace.ReadMemory(tid, addr, b) != nil {
			return nil, unix.EFAULT
		}
		word := func(i int) int64 { return int64(binary.NativeEndian.Uint64(b[8*i:])) }
		if form == utimbuf {
			times = &[4]int64{word(0), 0, word(1), 0}
		} else {
			times = &[4]int64{word(0), word(1), word(2), word(3)}
		}
		if form == timeval {
			for _, i := range []int{1, 3} {
				if times[i] < 0 || times[i] >= 1e6 {
					return nil, unix.EINVAL
				}
				times[i] *= 1000
			}
		}
	}
	return func(fd int, _ string) (int64, unix.Errno) {
		var empty byte
		_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), uintptr(unsafe.Pointer(&empty)),
			uintptr(unsafe.Pointer(times)), unix.AT_EMPTY_PATH, 0, 0)
		return 0, errno
	}, 0
}

// setAttribute sets or removes an extended attribute. Those that mean something to the kernel are kept from
// the program, which has no privilege for them, as we may: access control lists are a file's owner's.
func setAttribute(tid int, call *ptrace.Syscall) (operation, unix.Errno) {
	const largest = 1 << 16 // XATTR_SIZE_MAX
	name, ok := readString(tid, call.Args[1])
	if !ok {
		return nil, unix.EFAULT
	}
	if !strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "system.posix_acl_") {
		return nil, unix.EPERM
	}
	switch call.Nr {
	case linux.SYS_REMOVEXATTR, linux.SYS_LREMOVEXATTR, linux.SYS_FREMOVEXATTR:
		return func(_ int, path string) (int64, unix.Errno) {
			_, errno := errnoOf(0, unix.Removexattr(path, name))
			return 0, errno
		}, 0
	}
	if call.Args[3] > largest {
		return nil, unix.E2BIG
	}
	value := make([]byte, call.Args[3])
	if ptrace.ReadMemory(tid, call.Args[2], value) != nil {
		return nil, unix.EFAULT
	}
	flags := int(int32(call.Args[4]))
	return func(_ int, path string) (int64, unix.Errno) {
		_, errno := errnoOf(0, unix.Setxattr(path, name, value, flags))
		return 0, errno
	}, 0
}

// inotifyOf returns a duplicate of the program's inotify descriptor. A program that has changed its user may not
// be looked at by that user, so this is not done as that.
func inotifyOf(tid, fd int) (int, unix.Errno) {
	pidfd, errno := errnoOf(threadPidfd(tid))
	if errno != 0 {
		return -1, unix.ENOSPC // "no more watches", for which programs fall back
	}
	defer unix.Close(pidfd)
	dup, errno := errnoOf(unix.PidfdGetfd(pidfd, fd, 0))
	if errno != 0 && errno != unix.EBADF {
		errno = unix.ENOSPC
	}
	return dup, errno
}
