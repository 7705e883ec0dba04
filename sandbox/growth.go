package sandbox

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/linux"
)

// A call that may make a memory file grow is made by us, on the same open file description, in place of
// the program: so what is charged is what happens. Other threads and processes can exchange what a
// descriptor stands for, move the position that they share, and change an array of struct iovec, between
// any look at these and the kernel's; they cannot change what we have taken. One lock covers it, so that
// of two calls that make files grow one is over before the other is looked at.

// growth is a call that may make a file grow, as it is made by us.
type growth struct {
	t    *kernel.Task
	call *ptrace.Syscall
	file *ownedFile
	path string // of the file, for us
}

// growthCall decides the calls that growthFilter stops.
func (s *supervisor) growthCall(t *kernel.Task, call *ptrace.Syscall) (a ptrace.Action, prove int, ok bool) {
	a = ptrace.Action{Kind: ptrace.Continue}
	fd := call.Args[0]
	switch call.Nr {
	case linux.SYS_WRITE, linux.SYS_PWRITE64, linux.SYS_WRITEV, linux.SYS_PWRITEV, linux.SYS_PWRITEV2,
		linux.SYS_FTRUNCATE, linux.SYS_FALLOCATE, linux.SYS_SENDFILE, linux.SYS_IOCTL:
	case linux.SYS_SPLICE, linux.SYS_COPY_FILE_RANGE:
		fd = call.Args[2]
	case linux.SYS_CLOSE:
		return s.giveUp(t, fd, fd)
	case linux.SYS_CLOSE_RANGE:
		return s.giveUp(t, fd, call.Args[1])
	case linux.SYS_DUP2, linux.SYS_DUP3:
		return s.giveUp(t, call.Args[1], call.Args[1])
	case linux.SYS_IO_SUBMIT:
		return s.submit(t, call), 0, true
	case linux.SYS_TRUNCATE:
		return s.truncate(t, call)
	default:
		return a, 0, false
	}
	if v := s.k.PassDescriptors(t, call.Nr, &kernel.Span{First: uint32(fd), Last: uint32(fd)}); v.Kind == kernel.Wait {
		return ptrace.Action{Kind: ptrace.Park}, v.WaitFor, true
	}
	switch f, err := s.machine.memoryFile(fdPath(t.TID, int32(fd))); {
	case errors.Is(err, unix.ENOENT) && t.SharesDescriptors():
		return s.pass(t, answer(-int64(linux.EBADF))) // the number may be another's any time
	case f == nil:
		return a, 0, true // not there, or not in memory
	}
	switch call.Nr {
	case linux.SYS_SPLICE: // may wait for the other end of a pipe; programs fall back
		return s.pass(t, s.refuseCall(t, call, kernel.Uncounted(0, linux.EINVAL)))
	case linux.SYS_IOCTL: // the forms of fallocate that XFS once had
		return s.pass(t, s.refuseCall(t, call, kernel.Uncounted(0, linux.EOPNOTSUPP)))
	}
	file, err := s.machine.take(t.TID, int32(fd))
	switch {
	case errors.Is(err, unix.EBADF) && call.Nr == linux.SYS_FTRUNCATE:
		return s.pass(t, answer(-int64(linux.EINVAL)))
	case errors.Is(err, unix.EBADF):
		return s.pass(t, answer(-int64(linux.EBADF)))
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT):
		return a, 0, true // killed
	case err != nil:
		s.log.Warn("cannot write for", "thread", t.TID, "error", err)
		return s.pass(t, s.refuseCall(t, call, kernel.Uncounted(0, linux.ENOSPC)))
	}
	defer unix.Close(file.fd)
	g := &growth{t, call, file, procSelfFd(file.fd)}
	a, prove = s.grow(g)
	s.k.Settle(t) // we have made it
	if s.verify == policy.VerifyEvery {
		if err := s.k.CheckLedger(); err != nil {
			s.fail("accounts of "+t.Group.Name, t.TID, err)
		}
	}
	return a, prove, true
}

// pass returns the answer to a call of t that is not made.
func (s *supervisor) pass(t *kernel.Task, a ptrace.Action) (ptrace.Action, int, bool) {
	s.k.Settle(t)
	return a, 0, true
}

// giveUp decides a call by which numbers of descriptors may come to stand for something else.
func (s *supervisor) giveUp(t *kernel.Task, first, last uint64) (a ptrace.Action, prove int, ok bool) {
	switch v := s.k.GiveUpDescriptors(t, &kernel.Span{First: uint32(first), Last: uint32(last)}); v.Kind {
	case kernel.Wait:
		return ptrace.Action{Kind: ptrace.Park}, v.WaitFor, true
	case kernel.Observe:
		return ptrace.Action{Kind: ptrace.Finish}, 0, true
	}
	return ptrace.Action{Kind: ptrace.Continue}, 0, true
}

func (s *supervisor) grow(g *growth) (a ptrace.Action, prove int) {
	args := &g.call.Args
	switch g.call.Nr {
	case linux.SYS_FTRUNCATE:
		return s.resize(g, int64(args[1]))
	case linux.SYS_FALLOCATE:
		return s.allocate(g)
	case linux.SYS_SENDFILE, linux.SYS_COPY_FILE_RANGE:
		return s.transfer(g)
	case linux.SYS_WRITE:
		return s.write(g, []hostarch.AddrRange{{Start: hostarch.Addr(args[1]), End: hostarch.Addr(args[1] + args[2])}}, -1, 0)
	case linux.SYS_PWRITE64:
		if int64(args[3]) < 0 {
			return ptrace.Action{Kind: ptrace.Continue}, 0 // EINVAL
		}
		return s.write(g, []hostarch.AddrRange{{Start: hostarch.Addr(args[1]), End: hostarch.Addr(args[1] + args[2])}}, int64(args[3]), 0)
	}
	const maxIovecs = 1024
	if args[2] > maxIovecs {
		return ptrace.Action{Kind: ptrace.Continue}, 0 // EINVAL
	}
	from, err := s.machine.Ranges(g.t, hostarch.Addr(args[1]), args[2])
	if err != nil {
		return answer(-int64(linux.EFAULT)), 0
	}
	switch g.call.Nr {
	case linux.SYS_PWRITEV, linux.SYS_PWRITEV2:
		at, flags := int64(args[3]), uint64(0) // the upper half of the position is in the other register on 32 bits only
		if g.call.Nr == linux.SYS_PWRITEV2 {
			flags = uint64(uint32(args[5]))
		}
		if at == -1 && g.call.Nr == linux.SYS_PWRITEV2 {
			return s.write(g, from, -1, flags)
		}
		if at < 0 {
			return answer(-int64(linux.EINVAL)), 0
		}
		return s.write(g, from, at, flags)
	}
	return s.write(g, from, -1, 0)
}

func answer(v int64) ptrace.Action { return ptrace.Action{Kind: ptrace.Return, Value: v} }

// charge decides whether g's file may have want pages. It returns an action where it may not.
func (s *supervisor) charge(g *growth, want uint64, errno linux.Errno) (refused *ptrace.Action, prove int) {
	f := g.file
	if want > f.pages {
		s.k.CollectFiles() // its number may have been that of another
	} else if !s.k.KnowsFile(f.id) {
		return nil, 0
	}
	if want > f.pages && !s.k.KnowsFile(f.id) {
		switch err := s.machine.inodes.add(g.path, f.id); err {
		case nil, unix.EACCES: // what we may not read is charged for good
		default:
			s.log.Warn("cannot watch a file", "error", err)
			a := s.refuseCall(g.t, g.call, kernel.Uncounted(want<<hostarch.PageShift, errno))
			return &a, 0
		}
	}
	v, unseen := s.k.DecideGrowth(g.t, kernel.Growth{File: f.id, Have: f.pages, Want: want, Errno: errno})
	if unseen != 0 {
		s.fail(linux.SyscallName(g.call.Nr), g.t.TID, errGrown)
	}
	switch v.Kind {
	case kernel.Wait:
		return &ptrace.Action{Kind: ptrace.Park}, v.WaitFor
	case kernel.Refuse:
		a := s.refuseCall(g.t, g.call, v)
		return &a, 0
	}
	return nil, 0
}

// grown records what g's file has come to, if it is charged.
func (s *supervisor) grown(g *growth, v int64) {
	s.record(g.t, &kernel.Call{Nr: g.call.Nr, Args: g.call.Args}, &kernel.Verdict{Kind: kernel.Run, Result: kernel.ValueResult(v)})
	if !s.k.KnowsFile(g.file.id) {
		return
	}
	var st unix.Stat_t
	if err := unix.Fstat(g.file.fd, &st); err != nil {
		s.fail(linux.SyscallName(g.call.Nr), g.t.TID, err)
		return
	}
	if !s.k.SetFile(g.file.id, memoryFileOf(&st).pages) {
		s.fail(linux.SyscallName(g.call.Nr), g.t.TID, errGrown)
	}
}

// reaches reports whether our own RLIMIT_FSIZE lets us make a file as large as end. The program has the
// same, unless it has raised its own, and what exceeds ours would be our end.
func reaches(end uint64) bool {
	var r unix.Rlimit
	return unix.Getrlimit(unix.RLIMIT_FSIZE, &r) != nil || end <= r.Cur
}

// tooLarge refuses what we cannot do for the program.
func (s *supervisor) tooLarge(g *growth) (ptrace.Action, int) {
	return s.refuseCall(g.t, g.call, kernel.Uncounted(0, linux.EFBIG)), 0
}

// fileLimit returns the process's RLIMIT_FSIZE. beyond answers a call that exceeds it.
func (s *supervisor) fileLimit(t *kernel.Task) uint64 {
	r, err := s.machine.limit(t, unix.RLIMIT_FSIZE)
	if err != nil {
		return linux.RLIM_INFINITY
	}
	return r.Cur
}

func beyond(t *kernel.Task) ptrace.Action {
	unix.Tgkill(t.Group.TGID, t.TID, unix.SIGXFSZ)
	return answer(-int64(linux.EFBIG))
}

// resize is ftruncate.
func (s *supervisor) resize(g *growth, size int64) (a ptrace.Action, prove int) {
	f := g.file
	if size < 0 {
		return ptrace.Action{Kind: ptrace.Continue}, 0 // EINVAL
	}
	if uint64(size) > f.size && uint64(size) > s.fileLimit(g.t) {
		return beyond(g.t), 0
	}
	if uint64(size) > f.size && !reaches(uint64(size)) {
		return s.tooLarge(g)
	}
	if refused, prove := s.charge(g, f.pagesFor(uint64(size)), linux.ENOMEM); refused != nil {
		return *refused, prove
	}
	v := result(unix.Ftruncate(f.fd, size))
	s.grown(g, v)
	return answer(v), 0
}

// allocate is fallocate.
func (s *supervisor) allocate(g *growth) (a ptrace.Action, prove int) {
	f, args := g.file, &g.call.Args
	mode, off, length := uint32(args[1]), int64(args[2]), int64(args[3])
	end := off + length
	if off < 0 || length <= 0 || end < 0 {
		return ptrace.Action{Kind: ptrace.Continue}, 0 // EINVAL, EFBIG
	}
	want := f.pages
	if mode&unix.FALLOC_FL_PUNCH_HOLE == 0 {
		if mode&unix.FALLOC_FL_KEEP_SIZE == 0 && uint64(end) > f.size && uint64(end) > s.fileLimit(g.t) {
			return beyond(g.t), 0
		}
		if !reaches(uint64(end)) {
			return s.tooLarge(g)
		}
		// Also where the size is kept, and there are fewer blocks than the size has room for.
		want = max(want, f.pagesFor(uint64(end)))
		if mode&unix.FALLOC_FL_KEEP_SIZE != 0 && uint64(off) > f.size {
			want = max(f.pages, f.pages+f.pagesFor(uint64(length)+f.unit))
		}
	}
	if refused, prove := s.charge(g, want, linux.ENOSPC); refused != nil {
		return *refused, prove
	}
	v := result(unix.Fallocate(f.fd, mode, off, length))
	s.grown(g, v)
	return answer(v), 0
}

func result(err error) int64 {
	if errno, ok := err.(unix.Errno); ok {
		return -int64(errno)
	}
	if err != nil {
		return -int64(linux.EIO)
	}
	return 0
}

// submit decides io_submit: it is refused where it is about a memory file.
func (s *supervisor) submit(t *kernel.Task, call *ptrace.Syscall) ptrace.Action {
	const (
		size      = 64 // struct iocb
		opcode    = 16
		fildes    = 20
		maxEvents = 1 << 16
	)
	n := call.Args[1]
	if n > maxEvents || !t.Alone() || t.SharesDescriptors() { // others may change what we have read
		return s.refuseCall(t, call, kernel.Uncounted(0, linux.EINVAL))
	}
	pointers := make([]byte, 8*n)
	if ptrace.ReadMemory(t.TID, call.Args[2], pointers) != nil {
		return answer(-int64(linux.EFAULT))
	}
	for ; len(pointers) > 0; pointers = pointers[8:] {
		var iocb [size]byte
		if ptrace.ReadMemory(t.TID, binary.NativeEndian.Uint64(pointers), iocb[:]) != nil {
			return answer(-int64(linux.EFAULT))
		}
		const pwrite, pwritev = 1, 8
		if op := binary.NativeEndian.Uint16(iocb[opcode:]); op != pwrite && op != pwritev {
			continue
		}
		if f, _ := s.machine.memoryFile(fdPath(t.TID, int32(binary.NativeEndian.Uint32(iocb[fildes:])))); f != nil {
			return s.refuseCall(t, call, kernel.Uncounted(0, linux.EINVAL))
		}
	}
	return ptrace.Action{Kind: ptrace.Continue}
}

// truncate is truncate(2). Its file is known by a path only, which may lead elsewhere the next time: one
// that makes a memory file larger is made by us, as far as we may what the process may.
func (s *supervisor) truncate(t *kernel.Task, call *ptrace.Syscall) (a ptrace.Action, prove int, ok bool) {
	a = ptrace.Action{Kind: ptrace.Finish}
	at, path := s.truncates(t, call)
	if at < 0 {
		return a, 0, true
	}
	defer unix.Close(at)
	f, _ := s.machine.memoryFile(path)
	if size := int64(call.Args[1]); f == nil || size <= int64(f.size) {
		return a, 0, true
	}
	// Landlock does not see what we do. A memory file without a path may be another process's.
	if s.confined != nil && !s.confined.mayWrite(pathOf(at, path)) {
		return answer(-int64(linux.EACCES)), 0, true
	}
	if !s.machine.likeUs(t.TID) {
		return s.refuseCall(t, call, kernel.Uncounted(0, linux.ENOMEM)), 0, true
	}
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return answer(result(err)), 0, true
	}
	file := &ownedFile{fd: fd}
	defer unix.Close(fd)
	if err := s.machine.look(file); err != nil {
		return answer(-int64(linux.EINVAL)), 0, true
	}
	a, prove = s.resize(&growth{t, call, file, path}, int64(call.Args[1]))
	return a, prove, true
}

// truncates returns a descriptor of ours of the file that a truncate is about, and its path; -1 when there is
// none.
func (s *supervisor) truncates(t *kernel.Task, call *ptrace.Syscall) (fd int, path string) {
	name, ok := readString(t.TID, call.Args[0])
	if !ok || name == "" {
		return -1, ""
	}
	fd, err := (&lookup{tid: t.TID, dir: unix.AT_FDCWD, path: name}).open()
	if err != nil {
		return -1, ""
	}
	return fd, procSelfFd(fd)
}

// truncated looks at the file after a truncate that was to make it smaller, or was not about memory.
func (s *supervisor) truncated(t *kernel.Task, call *ptrace.Syscall) {
	at, path := s.truncates(t, call)
	if at < 0 {
		return
	}
	defer unix.Close(at)
	if f, _ := s.machine.memoryFile(path); f != nil && s.k.KnowsFile(f.id) && !s.k.SetFile(f.id, f.pages) {
		s.fail("truncate", t.TID, errGrown)
	}
}

// hugeMapping returns what an mmap makes of a file of hugetlbfs, which it makes as large as the mapping
// needs; nil for other mappings.
func (s *supervisor) hugeMapping(t *kernel.Task, call *ptrace.Syscall) (g *growth, want uint64) {
	args := &call.Args
	if args[3]&linux.MAP_ANONYMOUS != 0 || args[2]&linux.PROT_WRITE == 0 {
		return nil, 0
	}
	path := fdPath(t.TID, int32(args[4]))
	f, _ := s.machine.memoryFile(path)
	if f == nil || !f.huge {
		return nil, 0
	}
	return &growth{t, call, &ownedFile{memoryFile: *f}, path}, max(f.pages, f.pagesFor(args[5]+args[1]))
}

// mapped looks at a file of hugetlbfs again after an mmap of it.
func (s *supervisor) mapped(t *kernel.Task, call *ptrace.Syscall) {
	if call.Nr != linux.SYS_MMAP || !s.k.Counts() {
		return
	}
	if g, _ := s.hugeMapping(t, call); g != nil && s.k.KnowsFile(g.file.id) && !s.k.SetFile(g.file.id, g.file.pages) {
		s.fail("mmap", t.TID, errGrown)
	}
}
