package sandbox

import (
	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// maxWrite is the most that one call writes (MAX_RW_COUNT).
const maxWrite = 0x7ffff000

// Flags of pwritev2 that x/sys/unix does not have.
const rwfNoAppend = 0x20

// write writes what the ranges of the program's memory hold, at offset at, or for -1 at the position of
// its open file, which moves.
func (s *supervisor) write(g *growth, from []hostarch.AddrRange, at int64, flags uint64) (a ptrace.Action, prove int) {
	f := g.file
	var length uint64
	for i := range from {
		n := uint64(from[i].End - from[i].Start)
		if int64(n) < 0 {
			return answer(-int64(linux.EINVAL)), 0
		}
		if length+n > maxWrite { // Linux makes it shorter
			n = maxWrite - length
			from[i].End = from[i].Start + hostarch.Addr(n)
		}
		length += n
	}
	if length == 0 {
		return answer(0), 0
	}
	start := uint64(at)
	if at < 0 {
		start = f.offset
	}
	appends := (f.append || flags&unix.RWF_APPEND != 0) && flags&rwfNoAppend == 0
	if appends {
		start = f.size
		flags |= unix.RWF_APPEND // where the open file is one of ours
	}
	if limit := s.fileLimit(g.t); start >= limit {
		return beyond(g.t), 0
	} else if length > limit-start {
		length = limit - start
	}
	end := start + length
	if int64(end) < 0 {
		return answer(-int64(linux.EFBIG)), 0
	}
	if !reaches(end) {
		return s.tooLarge(g)
	}
	if refused, prove := s.charge(g, max(f.pages, f.pagesFor(end)), linux.ENOSPC); refused != nil {
		return *refused, prove
	}
	n, errno := s.copy(g, from, start, length, int(flags))
	v := int64(n)
	if n == 0 {
		v = -int64(errno)
	}
	s.grown(g, v)
	if n == 0 || at >= 0 {
		return answer(v), 0
	}
	return s.move(g, start+n, v), 0
}

// move moves the position of the program's open file, and has its call return v.
func (s *supervisor) move(g *growth, to uint64, v int64) ptrace.Action {
	if g.file.same {
		unix.Seek(g.file.fd, int64(to), unix.SEEK_SET)
		return answer(v)
	}
	if s.watching.seeks == nil {
		s.watching.seeks = make(map[int]int64)
	}
	s.watching.seeks[g.t.TID] = v
	return ptrace.Action{Kind: ptrace.Rewrite, Nr: linux.SYS_LSEEK, Args: [6]uint64{g.call.Args[0], to, unix.SEEK_SET}}
}

// copy writes up to length bytes of the program's memory to the file, from start on, and returns how many;
// errno says why there are not more.
func (s *supervisor) copy(g *growth, from []hostarch.AddrRange, start, length uint64, flags int) (done uint64, errno linux.Errno) {
	s.needBuffer()
	for _, r := range from {
		for r.Start < r.End && done < length {
			b := s.copied[:min(uint64(len(s.copied)), uint64(r.End-r.Start), length-done)]
			if ptrace.ReadMemory(g.t.TID, uint64(r.Start), b) != nil {
				// A part of it may be there.
				b = b[:min(uint64(len(b)), hostarch.PageSize-uint64(r.Start)%hostarch.PageSize)]
				if ptrace.ReadMemory(g.t.TID, uint64(r.Start), b) != nil {
					return done, linux.EFAULT
				}
			}
			n, err := unix.Pwritev2(g.file.fd, [][]byte{b}, int64(start+done), flags)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return done, linux.Errno(-result(err))
			}
			done += uint64(n)
			r.Start += hostarch.Addr(n)
			if n < len(b) {
				return done, 0
			}
		}
	}
	return done, 0
}
