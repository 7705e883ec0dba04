package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// Where memory is counted, the calls by which a file grows are stopped in those processes that may have
// a descriptor of a memory file that they may write to: they are *watched*. Their calls of this kind are
// decided in growth.go; this file has a process be watched before it can have such a descriptor, or, with
// open, before it can use it. A filter is never taken off, and is inherited, and so is being watched.

// watching is what the supervisor remembers of processes on their way to be watched.
type watching struct {
	filter  []byte          // stops what makes files grow
	inherit bool            // the first process is started with it
	atExit  map[int]*opened // threads that have opened a memory file and load the filter
	failed  map[int]bool    // processes that could not be watched
	suspect []*suspect
	seeks   map[int]int64 // what writes return whose call has become an lseek
}

// opened is a memory file that a process has got which was not watched.
type opened struct{ path string }

// suspect is a memory file that other threads of a process may have used before the process was watched.
type suspect struct {
	fd      int          // keeps it
	threads map[int]bool // that may be in a call that was not stopped
}

// memoryCall decides calls that give descriptors of memory files, or make them grow. ok is false for
// others, which are decided as calls on address spaces.
func (s *supervisor) memoryCall(t *kernel.Task, call *ptrace.Syscall) (a ptrace.Action, prove int, ok bool) {
	a = ptrace.Action{Kind: ptrace.Continue}
	args := &call.Args
	switch call.Nr {
	case linux.SYS_MEMFD_SECRET:
		// Its pages are charged by nobody: its one way of growing is ftruncate, but it is locked memory
		// that no filesystem shows.
		return s.refuseCall(t, call, kernel.Uncounted(0, linux.ENOSYS)), 0, true
	case linux.SYS_FANOTIFY_INIT:
		// Its events carry descriptors of files.
		return s.refuseCall(t, call, kernel.Uncounted(0, linux.EPERM)), 0, true
	case linux.SYS_OPEN, linux.SYS_OPENAT, linux.SYS_OPENAT2, linux.SYS_CREAT, linux.SYS_OPEN_BY_HANDLE_AT:
		a.Kind = ptrace.Finish
		if !t.Group.Watched && !t.Alone() && s.opensMemory(t, call) {
			a, prove = s.watchFirst(t, call)
		}
	case linux.SYS_MEMFD_CREATE, linux.SYS_PIDFD_GETFD, linux.SYS_RECVMMSG:
		a, prove = s.watchFirst(t, call)
	case linux.SYS_SECCOMP, linux.SYS_PRCTL:
		if call.Nr == linux.SYS_PRCTL && uint32(args[0]) != unix.PR_SET_SECCOMP {
			return a, 0, false
		}
		// A filter of the program's own may forbid what we need to load ours.
		a, prove = s.watchFirst(t, call)
	case linux.SYS_RECVMSG:
		if t.Group.Watched || s.mayReceive(t, args[1]) {
			a, prove = s.watchFirst(t, call)
		}
	case linux.SYS_MMAP:
		if g, want := s.hugeMapping(t, call); g != nil {
			if refused, prove := s.charge(g, want, linux.ENOMEM); refused != nil {
				return *refused, prove, true
			}
		}
		return a, 0, false
	default:
		return s.growthCall(t, call)
	}
	return a, prove, true
}

// watchFirst has t's process be watched before call is made, and its other threads leave calls that they
// have begun before.
func (s *supervisor) watchFirst(t *kernel.Task, call *ptrace.Syscall) (a ptrace.Action, prove int) {
	switch {
	case t.Group.Watched:
		if v := s.k.NewDescriptor(t); v.Kind == kernel.Wait {
			return ptrace.Action{Kind: ptrace.Park}, v.WaitFor
		}
		return ptrace.Action{Kind: ptrace.Continue}, 0
	case s.watching.failed[t.Group.TGID]:
		return s.refuseCall(t, call, kernel.Uncounted(0, linux.ENOMEM)), 0
	}
	return ptrace.Action{Kind: ptrace.Confine, Filter: s.watching.filter}, 0
}

// refuseCall records a refusal and answers the call with it.
func (s *supervisor) refuseCall(t *kernel.Task, call *ptrace.Syscall, v kernel.Verdict) ptrace.Action {
	s.record(t, &kernel.Call{Nr: call.Nr, Args: call.Args}, &v)
	return ptrace.Action{Kind: ptrace.Return, Value: v.Result.Value()}
}

// mayReceive reports whether a recvmsg with its struct msghdr at addr may receive descriptors. Where
// another thread could change that meanwhile, it may.
func (s *supervisor) mayReceive(t *kernel.Task, addr uint64) bool {
	const (
		size       = 56 // struct msghdr
		controlLen = 40 // msg_controllen
		smallest   = 20 // CMSG_LEN of one descriptor
	)
	_, v, found := t.MM().Find(hostarch.Addr(addr))
	if !t.Alone() || !found || v.Flags&mm.VM_SHARED != 0 {
		return true
	}
	var b [size]byte
	if ptrace.ReadMemory(t.TID, addr, b[:]) != nil {
		return false // EFAULT
	}
	return binary.NativeEndian.Uint64(b[controlLen:]) >= smallest
}

// opensMemory reports whether an open is likely to end at a memory file. It only looks, and another
// thread may change what it has looked at: what was opened in the end is seen at the exit.
func (s *supervisor) opensMemory(t *kernel.Task, call *ptrace.Syscall) bool {
	dir, at := int32(unix.AT_FDCWD), call.Args[0]
	switch call.Nr {
	case linux.SYS_OPENAT, linux.SYS_OPENAT2:
		dir, at = int32(call.Args[0]), call.Args[1]
	case linux.SYS_OPEN_BY_HANDLE_AT:
		return true
	}
	path, ok := s.machine.taskPath(t, dir, at)
	if !ok {
		return false
	}
	var fs unix.Statfs_t
	err := unix.Statfs(path, &fs)
	if err == unix.ENOENT {
		err = unix.Statfs(path[:strings.LastIndexByte(path, '/')+1], &fs)
	}
	return err == nil && keepsInMemory(&fs)
}

// taskPath returns a path of ours for what the task names by a descriptor of a directory and a string at
// addr. Symbolic links to absolute paths are followed from our root, not the task's.
func (m *machine) taskPath(t *kernel.Task, dir int32, addr uint64) (string, bool) {
	name, ok := readString(t.TID, addr)
	if !ok || name == "" {
		return "", false
	}
	for _, self := range []struct{ from, to string }{
		{"/proc/self/", procPath(t.Group.TGID, "")}, {"/proc/thread-self/", procPath(t.TID, "")},
		{"/dev/fd/", procPath(t.TID, "fd/")},
	} {
		if rest, ok := strings.CutPrefix(name, self.from); ok {
			return self.to + rest, true
		}
	}
	switch {
	case name[0] == '/':
		return procPath(t.TID, "root") + name, true
	case dir == unix.AT_FDCWD:
		return procPath(t.TID, "cwd/") + name, true
	}
	return fdPath(t.TID, dir) + "/" + name, true
}

// readString reads a string of at most PATH_MAX bytes.
func readString(tid int, addr uint64) (string, bool) {
	s, errno := readPath(tid, addr)
	return s, errno == 0
}

// readPath reads a path from the thread's memory: EFAULT where there is none, ENAMETOOLONG where it has no end.
func readPath(tid int, addr uint64) (string, unix.Errno) {
	var b []byte
	for len(b) < unix.PathMax {
		piece := make([]byte, min(256, hostarch.PageSize-addr%hostarch.PageSize))
		if ptrace.ReadMemory(tid, addr, piece) != nil {
			return "", unix.EFAULT
		}
		if end := bytes.IndexByte(piece, 0); end >= 0 && len(b)+end < unix.PathMax {
			return string(append(b, piece[:end]...)), 0
		}
		b, addr = append(b, piece...), addr+uint64(len(piece))
	}
	return "", unix.ENAMETOOLONG
}

// memoryExit handles the ends of calls that memoryCall has let run. ok is false for others.
func (s *supervisor) memoryExit(t *kernel.Task, call *ptrace.Syscall, ret int64) (seen int64, ok bool) {
	switch call.Nr {
	case linux.SYS_SECCOMP:
		s.endWatch(t, ret)
	case linux.SYS_OPEN, linux.SYS_OPENAT, linux.SYS_OPENAT2, linux.SYS_CREAT, linux.SYS_OPEN_BY_HANDLE_AT:
		if ret >= 0 {
			if err := s.opened(t, fdPath(t.TID, int32(ret))); err != nil {
				s.fail(linux.SyscallName(call.Nr), t.TID, err)
			}
		}
	case linux.SYS_TRUNCATE:
		s.truncated(t, call)
	case linux.SYS_CLOSE, linux.SYS_CLOSE_RANGE, linux.SYS_DUP2, linux.SYS_DUP3:
		s.k.EndGiveUp(t)
	default:
		if n, moved := s.watching.seeks[t.TID]; moved {
			delete(s.watching.seeks, t.TID)
			if ret < 0 {
				s.fail("lseek after "+linux.SyscallName(call.Nr), t.TID, unix.Errno(-ret))
			}
			return n, true
		}
		return ret, false
	}
	if s.failed != nil {
		s.engine.Kill()
	}
	return ret, true
}

// opened looks at the file behind a descriptor that t has just got.
func (s *supervisor) opened(t *kernel.Task, path string) error {
	f, err := s.machine.memoryFile(path)
	if f == nil {
		if errors.Is(err, unix.ENOENT) && t.SharesDescriptors() {
			err = nil // closed meanwhile
		}
		return err
	}
	if s.k.KnowsFile(f.id) {
		s.k.CollectFiles()
		if !s.k.SetFile(f.id, f.pages) { // O_TRUNC, or somebody else's growth
			return errGrown
		}
	}
	if t.Group.Watched {
		return nil
	}
	if s.watching.atExit == nil {
		s.watching.atExit = make(map[int]*opened)
	}
	s.watching.atExit[t.TID] = &opened{path}
	s.engine.Confine(t.TID, s.watching.filter)
	return nil
}

// errGrown says that the limit was exceeded by what could not be stopped.
var errGrown = errors.New("a file in memory has grown unseen, beyond the limit")

// endWatch records what became of the loading of the filter.
func (s *supervisor) endWatch(t *kernel.Task, ret int64) {
	o := s.watching.atExit[t.TID]
	delete(s.watching.atExit, t.TID)
	if ret != 0 {
		s.log.Warn("cannot be watched", "process", t.Group.TGID, "program", t.Group.Name, "seccomp", ret)
		if o != nil {
			s.fail("watch the writes of "+t.Group.Name, t.TID, fmt.Errorf("seccomp returned %d", ret))
			return
		}
		if s.watching.failed == nil {
			s.watching.failed = make(map[int]bool)
		}
		s.watching.failed[t.Group.TGID] = true
		return
	}
	s.k.Watch(t, growing())
	if o == nil || t.Alone() {
		return
	}
	// Other threads could use the descriptor before the filter was there: what they have written counts,
	// and so does what they are writing still.
	if err := s.suspectFile(t, o.path); err != nil {
		s.fail("watch the writes of "+t.Group.Name, t.TID, err)
	}
}

func (s *supervisor) suspectFile(t *kernel.Task, path string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil // closed already
	}
	x := &suspect{fd: fd, threads: make(map[int]bool)}
	for _, tid := range s.k.Siblings(t) {
		x.threads[tid] = true
		s.proofs = append(s.proofs, tid)
	}
	if err := s.checkSuspect(x); err != nil || len(x.threads) == 0 {
		unix.Close(fd)
		return err
	}
	s.watching.suspect = append(s.watching.suspect, x)
	return nil
}

// checkSuspect charges what a file has grown by.
func (s *supervisor) checkSuspect(x *suspect) error {
	path := procSelfFd(x.fd)
	f, err := s.machine.memoryFile(path)
	if f == nil {
		return err
	}
	if !s.k.KnowsFile(f.id) {
		if err := s.machine.inodes.add(path, f.id); err != nil && err != unix.EACCES {
			return err
		}
	}
	if !s.k.OweFile(f.id, f.pages) {
		return errGrown
	}
	return nil
}

// absolve looks at files again that a thread may have been writing to, which has left its call.
func (s *supervisor) absolve(tid int) {
	left := s.watching.suspect[:0]
	for _, x := range s.watching.suspect {
		if x.threads[tid] {
			delete(x.threads, tid)
			if err := s.checkSuspect(x); err != nil {
				s.fail("watch the writes of", tid, err)
			}
		}
		if len(x.threads) > 0 {
			left = append(left, x)
		} else {
			unix.Close(x.fd)
		}
	}
	s.watching.suspect = left
}

// inheritsMemory reports whether the program starts with a descriptor of a memory file that it may write
// to: one of its files, or of those of ours that are not closed on exec.
func inheritsMemory(m *machine, given []*os.File) bool {
	var kept []uintptr
	for _, f := range given {
		if f != nil {
			kept = append(kept, f.Fd())
		}
	}
	for _, fd := range ownDescriptors() {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			kept = append(kept, fd)
		}
	}
	return writableMemory(m, kept)
}

func writableMemory(m *machine, fds []uintptr) bool {
	for _, fd := range fds {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil || flags&unix.O_ACCMODE == unix.O_RDONLY {
			continue
		}
		if f, err := m.memoryFile(procSelfFd(int(fd))); f != nil || err != nil {
			return true
		}
	}
	return false
}
