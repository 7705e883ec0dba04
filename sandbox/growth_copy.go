package sandbox

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/linux"
)

// transfer is a sendfile or copy_file_range to a memory file.
type transfer struct {
	*growth
	from      int // the file that is read
	source    unix.Stat_t
	at, start uint64 // positions in the file that is read and in the other
	length    uint64
	atAddr    uint64 // where the program keeps these, 0 for the positions of its open files
	startAddr uint64
}

// transfer makes sendfile and copy_file_range to g's file. What is read has to be a file whose reading
// waits for nobody in the tree; others are refused, and programs fall back to reading and writing.
func (s *supervisor) transfer(g *growth) (a ptrace.Action, prove int) {
	refused := func() (ptrace.Action, int) {
		return s.refuseCall(g.t, g.call, kernel.Uncounted(0, linux.EINVAL)), 0
	}
	if !g.file.same {
		return refused() // two positions cannot be moved by one call
	}
	args := &g.call.Args
	x := &transfer{growth: g}
	in := int32(args[0])
	if g.call.Nr == linux.SYS_SENDFILE {
		in, x.atAddr, x.length = int32(args[1]), args[2], args[3]
	} else {
		x.atAddr, x.startAddr, x.length = args[1], args[3], args[4]
	}
	var err error
	if x.from, err = s.machine.getFd(g.t.TID, in); err != nil {
		return answer(-int64(linux.EBADF)), 0
	}
	defer unix.Close(x.from)
	flags, err := unix.FcntlInt(uintptr(x.from), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_PATH != 0 || flags&unix.O_ACCMODE != unix.O_RDONLY && flags&unix.O_ACCMODE != unix.O_RDWR {
		return answer(-int64(linux.EBADF)), 0
	}
	var fs unix.Statfs_t
	if unix.Fstat(x.from, &x.source) != nil || unix.Fstatfs(x.from, &fs) != nil ||
		x.source.Mode&unix.S_IFMT != unix.S_IFREG || fs.Type == fuseMagic {
		return refused()
	}
	if errno := x.check(); errno != 0 {
		return answer(-int64(errno)), 0
	}
	if errno := x.positions(); errno != 0 {
		return answer(-int64(errno)), 0
	}
	if limit := s.fileLimit(g.t); x.length > 0 && x.start >= limit {
		return beyond(g.t), 0
	} else {
		x.length = min(x.length, maxWrite, limit-min(x.start, limit))
	}
	if !reaches(x.start + x.length) {
		return s.tooLarge(g)
	}
	n, refusal, prove := s.relay(x)
	if refusal != nil {
		return *refusal, prove
	}
	return answer(n), 0
}

// check answers what Linux refuses.
func (x *transfer) check() linux.Errno {
	if x.call.Nr == linux.SYS_SENDFILE {
		if x.file.append {
			return linux.EINVAL
		}
		return 0
	}
	switch {
	case x.call.Args[5] != 0:
		return linux.EINVAL
	case x.file.append:
		return linux.EBADF
	case x.source.Dev != x.file.id.Dev:
		return linux.EXDEV
	}
	return 0
}

// positions finds out where to read and to write.
func (x *transfer) positions() linux.Errno {
	for _, p := range []struct {
		addr uint64
		fd   int
		to   *uint64
	}{{x.atAddr, x.from, &x.at}, {x.startAddr, x.file.fd, &x.start}} {
		if p.addr == 0 {
			at, err := unix.Seek(p.fd, 0, unix.SEEK_CUR)
			if err != nil {
				return linux.ESPIPE
			}
			*p.to = uint64(at)
			continue
		}
		var b [8]byte
		if ptrace.ReadMemory(x.t.TID, p.addr, b[:]) != nil {
			return linux.EFAULT
		}
		if *p.to = binary.NativeEndian.Uint64(b[:]); int64(*p.to) < 0 {
			return linux.EINVAL
		}
	}
	if int64(x.length) < 0 || int64(x.start+x.length) < 0 || int64(x.at+x.length) < 0 {
		return linux.EINVAL
	}
	if x.call.Nr == linux.SYS_COPY_FILE_RANGE {
		x.length = min(x.length, uint64(x.source.Size)-min(x.at, uint64(x.source.Size)))
	}
	same := x.source.Dev == x.file.id.Dev && x.source.Ino == x.file.id.Ino
	if same && x.call.Nr == linux.SYS_COPY_FILE_RANGE && x.at < x.start+x.length && x.start < x.at+x.length {
		return linux.EINVAL
	}
	return 0
}

// relay passes the bytes on, each piece charged before it is written, since how many there are is only
// known when they have been read.
func (s *supervisor) relay(x *transfer) (v int64, refusal *ptrace.Action, prove int) {
	s.needBuffer()
	var done uint64
	for done < x.length {
		b := s.copied[:min(uint64(len(s.copied)), x.length-done)]
		n, err := unix.Pread(x.from, b, int64(x.at+done))
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			if v = result(err); done > 0 {
				v = 0
			}
			break
		}
		end := x.start + done + uint64(n)
		if refusal, prove = s.charge(x.growth, max(x.file.pages, x.file.pagesFor(end)), linux.ENOSPC); refusal != nil {
			if done == 0 {
				return 0, refusal, prove
			}
			break // what was possible
		}
		x.file.pages = max(x.file.pages, x.file.pagesFor(end))
		wrote, err := unix.Pwrite(x.file.fd, b[:n], int64(x.start+done))
		if wrote > 0 {
			done += uint64(wrote)
		}
		if wrote < n {
			if v = result(err); done > 0 {
				v = 0
			}
			break
		}
	}
	x.settle(done)
	if done > 0 {
		v = int64(done)
	}
	s.grown(x.growth, v)
	return v, nil, 0
}

// settle moves the positions by n bytes.
func (x *transfer) settle(n uint64) {
	for _, p := range []struct {
		addr uint64
		fd   int
		to   uint64
	}{{x.atAddr, x.from, x.at + n}, {x.startAddr, x.file.fd, x.start + n}} {
		if p.addr == 0 {
			unix.Seek(p.fd, int64(p.to), unix.SEEK_SET)
			continue
		}
		var b [8]byte
		binary.NativeEndian.PutUint64(b[:], p.to)
		ptrace.WriteMemory(x.t.TID, p.addr, b[:])
	}
}

// needBuffer makes the buffer through which bytes pass.
func (s *supervisor) needBuffer() {
	if s.copied == nil {
		s.copied = make([]byte, 64*hostarch.PageSize)
	}
}
