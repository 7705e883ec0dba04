package sandbox

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// A connect(2) names a socket by an address in memory, and by a path that can lead elsewhere the next time.
// So it is made by us, on a duplicate of the program's socket: the address is copied once, the path is
// followed once to an inode, and it is that inode that is looked at and connected to, through
// /proc/self/fd. The program's thread waits in its notification meanwhile.
//
// What may be connected to is a socket that a process of the sandbox has, and, where it has a path, below a
// directory that the program may write. Who has a socket, sock_diag(7) and /proc/PID/fd say. A socket's
// inode is bound once and for all, so that this holds until the connection is made; an abstract name could
// be given up by the sandbox and taken by somebody else in between.

// Bounds of struct sockaddr_un.
const (
	familySize  = 2
	maxUnixAddr = 110
	maxAddr     = 128 // struct sockaddr_storage
)

// maxConnects bounds the connections that are being made at a time, each of which takes a descriptor of ours: also
// those of threads that have died meanwhile.
const maxConnects = 256

// retryMost is how long a connection waits, at most, to be tried again while the other's queue is full.
const retryMost = 50 * time.Millisecond

// interruptAfter is after how long a connect of one of several threads begins again in any case: a stop of the
// whole process shows in no thread's signals.
const interruptAfter = 500 * time.Millisecond

// errOutside says that what was named is not the sandbox's.
var errOutside = errors.New("not the sandbox's")

// connecting is a connect on its way.
type connecting struct {
	task *kernel.Task
	fd   int    // our duplicate of the program's socket
	addr []byte // as the program had it

	done    bool
	value   int64 // what the program gets
	refused bool  // by policy

	interrupted bool // the call is to begin again, after what waits for the thread
}

// connect decides a connect, when it is made, and again when it is over.
func (s *supervisor) connect(t *kernel.Task, call *ptrace.Syscall) ptrace.Action {
	r := s.reach
	if c := r.connects[t.TID]; c != nil && c.task == t {
		switch {
		case !c.done:
			return ptrace.Action{Kind: ptrace.Park}
		case c.refused:
			delete(r.connects, t.TID)
			return s.forbid(t, call, limits.Sockets, linux.EACCES)
		}
		delete(r.connects, t.TID)
		if c.interrupted {
			return ptrace.Action{Kind: ptrace.Interrupt}
		}
		s.record(t, new(callOf(call)), &kernel.Verdict{Kind: kernel.Run, Result: kernel.ValueResult(c.value)})
		return answer(c.value)
	}
	if r.connecting >= maxConnects {
		return answer(-int64(linux.EAGAIN))
	}
	fd, err := s.machine.getFd(t.TID, int32(call.Args[0]))
	switch {
	case errors.Is(err, unix.EBADF):
		return answer(-int64(linux.EBADF))
	case err != nil: // not permitted, or it has died
		return s.forbid(t, call, limits.Sockets, linux.EACCES)
	}
	c := &connecting{task: t, fd: fd}
	var errno linux.Errno
	if c.addr, errno = socketAddress(t.TID, call.Args[1], call.Args[2]); errno == 0 {
		errno = c.check()
	}
	if errno != 0 {
		unix.Close(fd)
		if errno == linux.EACCES {
			return s.forbid(t, call, limits.Sockets, errno)
		}
		return answer(-int64(errno))
	}
	r.connects[t.TID] = c
	r.connecting++
	go s.finishConnect(c)
	return ptrace.Action{Kind: ptrace.Park}
}

// socketAddress copies a struct sockaddr as the kernel does (move_addr_to_kernel).
func socketAddress(tid int, addr, length uint64) ([]byte, linux.Errno) {
	n := int32(length)
	if n < familySize || n > maxAddr {
		return nil, linux.EINVAL
	}
	b := make([]byte, n)
	if ptrace.ReadMemory(tid, addr, b) != nil {
		return nil, linux.EFAULT
	}
	return b, 0
}

func (c *connecting) family() uint16 { return binary.NativeEndian.Uint16(c.addr) }

// check looks at the socket and the family of the address: EACCES is by policy.
func (c *connecting) check() linux.Errno {
	domain, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	switch {
	case err != nil:
		return linux.Errno(-result(err)) // ENOTSOCK
	case c.family() == unix.AF_UNSPEC: // dissolves a connection
		return 0
	case domain != unix.AF_UNIX: // it was handed over by the caller
		return linux.EACCES
	case c.family() != unix.AF_UNIX, len(c.addr) <= familySize, len(c.addr) > maxUnixAddr:
		return linux.EINVAL
	}
	return 0
}

// finishConnect makes the connection and has the program's call answered.
func (s *supervisor) finishConnect(c *connecting) {
	defer unix.Close(c.fd)
	value, err := s.establish(c)
	s.mu.Lock()
	c.done, c.value, c.refused = true, value, err != nil
	s.reach.connecting--
	if err != nil && !errors.Is(err, errOutside) {
		s.log.Warn("cannot connect for", "thread", c.task.TID, "error", err)
	}
	s.mu.Unlock()
	s.engine.Unpark(c.task.TID)
}

// establish makes the connection, and waits where the program's own call would. The error says that it
// may not be made.
func (s *supervisor) establish(c *connecting) (value int64, err error) {
	start := time.Now()
	var deadline time.Time
	timeout, terr := unix.GetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO)
	if terr == nil && timeout.Nano() > 0 {
		deadline = time.Now().Add(time.Duration(timeout.Nano()))
	}
	for wait := time.Millisecond; ; wait = min(2*wait, retryMost) {
		errno, blocks, err := s.try(c)
		switch {
		case err != nil:
			return 0, err
		case errno != linux.EAGAIN || !blocks, !deadline.IsZero() && time.Now().After(deadline):
			return -int64(errno), nil
		case !s.waits(c):
			return -int64(linux.EINTR), nil // it has died
		case signalled(c.task.TID) && !deadline.IsZero():
			return -int64(linux.EINTR), nil
		}
		time.Sleep(wait)
		if deadline.IsZero() && (signalled(c.task.TID) || time.Since(start) > interruptAfter && hasThreads(c.task.TID)) {
			c.interrupted = true
			return 0, nil
		}
	}
}

// waits reports whether c's thread still waits for it.
func (s *supervisor) waits(c *connecting) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed == nil && s.k.Task(c.task.TID) == c.task && s.reach.connects[c.task.TID] == c
}

// try tries to connect, once and without waiting.
func (s *supervisor) try(c *connecting) (errno linux.Errno, blocks bool, err error) {
	tid := c.task.TID
	addr := c.addr
	switch {
	case c.family() == unix.AF_UNSPEC:
	case addr[familySize] == 0:
		name := string(addr[familySize:])
		kind, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_TYPE)
		if err != nil {
			return 0, false, err
		}
		// Others may have the name for another kind of socket, and one of the sandbox's says nothing of theirs.
		fits := func(l *unixSocket) bool { return !l.path && l.name == name && int(l.kind) == kind }
		if errno, err := s.mayReach(fits); errno != 0 || err != nil {
			return errno, false, err
		}
	default:
		name, _, _ := strings.Cut(string(addr[familySize:]), "\x00")
		fd, err := (&lookup{tid: tid, dir: unix.AT_FDCWD, path: name, own: true}).openAsTask()
		if errno, ok := err.(unix.Errno); ok {
			return linux.Errno(errno), false, nil
		}
		if err != nil {
			return 0, false, err
		}
		defer unix.Close(fd)
		if errno, err := s.mayConnect(fd); errno != 0 || err != nil {
			return errno, false, err
		}
		addr = binary.NativeEndian.AppendUint16(nil, unix.AF_UNIX)
		addr = append(addr, procSelfFd(fd)+"\x00"...)
	}
	if err := withIdentity(tid, accessCapabilities, func() { errno, blocks, err = s.reach.attempt(c.fd, addr) }); err != nil {
		return 0, false, err
	}
	return errno, blocks, err
}

// mayConnect decides whether the sandbox may connect to the socket behind an O_PATH descriptor.
func (s *supervisor) mayConnect(fd int) (linux.Errno, error) {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := errors.Join(unix.Fstat(fd, &st), unix.Fstatfs(fd, &fs)); err != nil {
		return 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return linux.ECONNREFUSED, nil
	}
	path, err := os.Readlink(procSelfFd(fd))
	if err != nil || !s.confined.mayWrite(filepath.Dir(path)) {
		return 0, errors.Join(errOutside, err)
	}
	// What stat(2) says of the device is not what the kernel has everywhere.
	anyDev := fs.Type == overlayMagic || fs.Type == btrfsMagic
	dev := unix.Major(st.Dev)<<20 | unix.Minor(st.Dev)
	errno, err := s.mayReach(func(l *unixSocket) bool {
		return l.path && l.ino == uint32(st.Ino) && (anyDev || l.dev == dev)
	})
	if errors.Is(err, errNoDiag) {
		return 0, nil // the directory is all that can be gone by
	}
	return errno, err
}

// attempt connects a socket without waiting; blocks reports whether the program's own call would wait. The
// flag that says so is the socket's, and so it is changed for the moment.
func (r *reach) attempt(fd int, addr []byte) (errno linux.Errno, blocks bool, err error) {
	r.flags.Lock()
	defer r.flags.Unlock()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return 0, false, err
	}
	if blocks = flags&unix.O_NONBLOCK == 0; blocks {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags|unix.O_NONBLOCK); err != nil {
			return 0, false, err
		}
		defer unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags)
	}
	for {
		_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&addr[0])), uintptr(len(addr)))
		if e != unix.EINTR {
			return linux.Errno(e), blocks, nil
		}
	}
}
