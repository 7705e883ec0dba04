package mm

import (
	"strings"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// HugeSegmentName is the File.Name of a segment of huge pages (SHM_HUGETLB).
const HugeSegmentName = "/SYSV, huge"

// ShmAt attaches the System V shared memory segment seg (do_shmat), whose Size is what shmget was
// asked for. That the caller may have it is for its own caller to know. Each attachment is an
// open file of its own, so that two of them never merge.
//
// Errnos: EINVAL (address, or the range is taken and SHM_REMAP is not given), and those of mmap.
func (m *MemoryManager) ShmAt(c *Caller, seg *File, addr hostarch.Addr, flags uint64) Result {
	a, errno := shmArgs(seg, addr, flags)
	if errno != 0 {
		return failed(errno)
	}
	if a.Addr != 0 && flags&linux.SHM_REMAP == 0 {
		start := uint64(a.Addr)
		end := start + seg.Size
		if end < start {
			return failed(linux.EINVAL)
		}
		if s, ok := m.vmas.Find(start); ok && s.Start < end {
			return failed(linux.EINVAL)
		}
	}
	return m.MMap(c, a)
}

// AdoptShmAt attaches seg where the host did, at addr, when the manager was Unsure of it.
func (m *MemoryManager) AdoptShmAt(c *Caller, seg *File, addr hostarch.Addr, flags uint64) {
	if a, errno := shmArgs(seg, addr, flags|linux.SHM_RND); errno == 0 {
		m.Adopt(c, a, addr)
	}
}

// CheckShmAt returns why shmat refuses its arguments before it looks at the segment, or 0.
func CheckShmAt(addr hostarch.Addr, flags uint64) linux.Errno {
	_, errno := shmArgs(&File{}, addr, flags)
	return errno
}

// shmArgs returns the mmap that stands for an shmat.
func shmArgs(seg *File, addr hostarch.Addr, flags uint64) (MMapArgs, linux.Errno) {
	a := MMapArgs{Length: seg.Size, Flags: linux.MAP_SHARED}
	switch {
	case addr == 0:
		if flags&linux.SHM_REMAP != 0 {
			return a, linux.EINVAL
		}
	case addr.IsPageAligned():
		a.Addr = addr
	case flags&linux.SHM_RND == 0:
		return a, linux.EINVAL
	default:
		a.Addr = addr.RoundDown()
		if a.Addr == 0 && flags&linux.SHM_REMAP != 0 {
			return a, linux.EINVAL
		}
	}
	if addr != 0 {
		a.Flags |= linux.MAP_FIXED
	}
	f := *seg
	f.Kind, f.Readable, f.Writable = seg.Kind, true, flags&linux.SHM_RDONLY == 0
	if f.Kind != Hugetlb {
		f.Kind = SysV
	}
	f.UnsureIdentity = false
	a.File = &f
	a.Prot = linux.PROT_READ
	if f.Writable {
		a.Prot |= linux.PROT_WRITE
	}
	if flags&linux.SHM_EXEC != 0 {
		a.Prot |= linux.PROT_EXEC
	}
	return a, 0
}

// isAttachment reports whether the VMA is what is left of an attachment at addr, in its original
// place.
func isAttachment(s segment.Segment[VMA], addr uint64) bool {
	f := s.Value.File
	return f != nil && isSegmentFile(f) && hostarch.Pages(s.Start-addr) == s.Value.PgOff
}

// isSegmentFile reports whether f is a System V segment, perhaps one of huge pages.
func isSegmentFile(f *File) bool {
	return f.Kind == SysV || f.Kind == Hugetlb && strings.HasPrefix(f.Name, "/SYSV")
}

// ShmDt detaches the segment that was attached at addr (sys_shmdt): every piece of it that is
// still in its place. A sealed piece silently stays.
//
//	addr
//	  [piece 0)      [piece 2)  [another file)  [piece 3)
//	  '- the first one names the file and how far to look
//
// Errnos: EINVAL (addr not aligned, or nothing is attached there).
func (m *MemoryManager) ShmDt(c *Caller, addr hostarch.Addr) Result {
	if !addr.IsPageAligned() {
		return failed(linux.EINVAL)
	}
	at := uint64(addr)
	seg, ok := m.vmas.Find(at)
	for ok && !isAttachment(seg, at) {
		seg, ok = m.vmas.Find(seg.End)
	}
	if !ok {
		return failed(linux.EINVAL)
	}
	m.ops++
	file, limit := seg.Value.File, hostarch.PageAlign(seg.Value.File.Size)
	m.detach(seg)
	seg, ok = m.vmas.Find(seg.End)
	for ok && seg.End-at <= limit {
		if isAttachment(seg, at) && seg.Value.File == file {
			m.detach(seg)
		}
		seg, ok = m.vmas.Find(seg.End)
	}
	return succeeded(0)
}

func (m *MemoryManager) detach(seg segment.Segment[VMA]) {
	if !seg.Value.isSealed() {
		m.unmap(seg.Start, seg.End)
	}
}
