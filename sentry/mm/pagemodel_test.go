package mm

import (
	"iter"
	"maps"
	"slices"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// The page model is the slow and obvious address space beside the fast one: one map from page to
// what is mapped there. It has no trees and no ranges; every rule is a loop over pages, and every
// total is counted anew. What it knows of VMAs is one mark per page, "a VMA begins here". Page
// numbers stand for addresses wherever the call has checked that these are aligned.
//
// It supposes, as AssumeUntouched does, that memory is only touched by calls.

// page is what is mapped at one page of the address space; the zero page is a hole.
type page struct {
	flags   Flags
	file    *File
	off     uint64 // in pages: in the file, or where anonymous memory was mapped
	policy  uint64
	anon    uint32 // which anon_vma the VMA has; 0 before the first fault
	name    uint8  // of names
	special bool   // mapped by the kernel itself
	first   bool   // a VMA begins here
	mapped  bool
}

// space is an address space as the page model sees it.
type space struct {
	pageMap
	cfg *Config
	c   *Caller

	layout               Layout
	mmapBase, legacyBase uint64 // in pages
	startBrk, brk        uint64 // in bytes
	dataLen              uint64 // of the program's data segment, bytes
	defFlags             Flags
	mdwe, mdweNoInherit  bool
	mergeAny             bool

	guards map[uint64]bool // the guard pages
	rings  map[*File]bool  // the AIO rings whose contexts exist

	leak  uint64 // pages that mremap(MREMAP_DONTUNMAP) has left in locked_vm
	anons uint32 // anon_vmas so far
	// forked: what happened to anon_vmas at a fork is not followed, so where VMAs that look alike
	// are kept apart is taken over from the manager.
	forked bool

	began bool // the present call has come as far as to look at a VMA
	// object returns the new file that the manager made for what the present call mapped at addr.
	object func(addr uint64) *File
}

// answer is what a call returns.
type answer struct {
	errno  linux.Errno
	why    limits.Resource // the limit that refused, or ""
	addr   uint64
	unsure bool
}

func no(errno linux.Errno) answer            { return answer{errno: errno} }
func limited(r limits.Resource) answer       { return answer{errno: linux.ENOMEM, why: r} }
func returns(addr uint64) answer             { return answer{addr: addr} }
func (a answer) refused() bool               { return a.errno != 0 }
func (a answer) as(errno linux.Errno) answer { a.errno = errno; return a }
func unsureAnswer() answer                   { return answer{unsure: true} }
func pagesOf(bytes uint64) uint64            { return hostarch.PageAlign(bytes) / pg }
func (s *space) taskPages() uint64           { return uint64(s.cfg.TaskSize) / pg }
func (p page) is(f Flags) bool               { return p.flags&f != 0 }
func (p page) anonymous() bool               { return !p.special && (p.file == nil || p.file.Kind == DevZero) }
func (p page) private() bool                 { return !p.is(VM_SHARED) }

// clone returns an independent copy.
func (s *space) clone() *space {
	n := *s
	n.pageMap = pageMap{low: s.low, near: slices.Clone(s.near), far: maps.Clone(s.far)}
	n.guards, n.rings = maps.Clone(s.guards), maps.Clone(s.rings)
	return &n
}

func (s *space) has(p uint64) bool { return s.at(p).mapped }

// change applies f to what is mapped at p.
func (s *space) change(p uint64, f func(*page)) {
	v := s.at(p)
	f(&v)
	s.set(p, v)
}

// next returns the first mapped page from p on.
func (s *space) next(p uint64) (first uint64, ok bool) {
	for q := range s.each() {
		if q >= p && (!ok || q < first) {
			first, ok = q, true
		}
	}
	return first, ok
}

// vma returns the pages [lo, hi) of the VMA that holds the mapped page p.
func (s *space) vma(p uint64) (lo, hi uint64) {
	lo, hi = p, p+1
	for !s.at(lo).first {
		lo--
	}
	for s.has(hi) && !s.at(hi).first {
		hi++
	}
	return lo, hi
}

// within reports whether p lies inside a VMA, so that a boundary at p would split it.
func (s *space) within(p uint64) bool { return s.has(p) && !s.at(p).first }

// walk visits [lo, hi) VMA by VMA, with the part of each that lies in there, until one refuses. It
// calls gap, if that is not nil, for each hole in between.
func (s *space) walk(lo, hi uint64, gap func() answer, visit func(lo, hi uint64) answer) answer {
	for p := lo; p < hi; {
		q, ok := s.next(p)
		if (!ok || q > p) && gap != nil {
			if a := gap(); a.refused() {
				return a
			}
		}
		if !ok || q >= hi {
			break
		}
		s.began = true
		_, end := s.vma(q)
		end = min(end, hi)
		if a := visit(q, end); a.refused() || a.unsure {
			return a
		}
		p = end
	}
	return answer{}
}

// holes reports whether any of the pages [lo, hi) is not mapped.
func (s *space) holes(lo, hi uint64) bool {
	for p := lo; p < hi; p++ {
		if !s.has(p) {
			return true
		}
	}
	return false
}

// The totals, each by its definition.

func (s *space) count(holds func(p page) bool) (n uint64) {
	for _, p := range s.each() {
		if holds(p) {
			n++
		}
	}
	return n
}

func (s *space) vmas() uint64 { return s.count(func(p page) bool { return p.first }) }

// execPage, stackPage and dataPage say as what a page counts; the first that holds.
func execPage(f Flags) bool  { return f&VM_EXEC != 0 && f&(VM_WRITE|VM_GROWSDOWN) == 0 }
func stackPage(f Flags) bool { return f&VM_GROWSDOWN != 0 }
func dataPage(f Flags) bool  { return f&VM_WRITE != 0 && f&(VM_SHARED|VM_GROWSDOWN) == 0 }

func (s *space) totals() Totals {
	t := Totals{LockedVM: s.leak}
	for _, p := range s.each() {
		t.TotalVM++
		switch {
		case execPage(p.flags):
			t.ExecVM++
		case stackPage(p.flags):
			t.StackVM++
		case dataPage(p.flags):
			t.DataVM++
		}
		if p.is(VM_LOCKED) {
			t.LockedVM++
		}
		if p.is(VM_ACCOUNT) {
			t.Committed++
		}
		if p.is(VM_SHARED) {
			t.SharedVM++
		} else if p.is(VM_HUGETLB) {
			t.HugeVM++
		}
		if p.first {
			t.MapCount++
		}
	}
	return t
}

// The limits. Each returns "" when there is no objection.

// mayExpand: RLIMIT_AS is for all pages, RLIMIT_DATA for private writable ones.
func (s *space) mayExpand(f Flags, more uint64) limits.Resource {
	t, l := s.totals(), &s.c.Limits
	if t.TotalVM+more > l.AS/pg {
		return limits.AS
	}
	if dataPage(f) && t.DataVM+more > l.Data/pg && (l.Data != 0 || t.DataVM+more > l.DataMax/pg) {
		return limits.Data
	}
	return ""
}

// machineHas: overcommit mode 0 refuses only more at once than there is.
func (s *space) machineHas(more uint64) limits.Resource {
	if s.cfg.Overcommit == 0 && s.cfg.Memory != 0 && more > s.cfg.Memory {
		return limits.Commit
	}
	return ""
}

// mayLock: RLIMIT_MEMLOCK, for memory that is locked from the start.
func (s *space) mayLock(f Flags, more uint64) answer {
	if f&VM_LOCKED != 0 && !s.c.Creds.IPCLock && s.totals().LockedVM+more > s.c.Limits.MemLock/pg {
		return limited(limits.MemLock).as(linux.EAGAIN)
	}
	return answer{}
}

func (s *space) mayLockAtAll() bool { return s.c.Limits.MemLock != 0 || s.c.Creds.IPCLock }

func (s *space) full() bool { return s.vmas() >= uint64(s.cfg.MaxMapCount) }

// allOf applies f to every page of [lo, hi).
func (s *space) allOf(lo, hi uint64, f func(*page)) {
	for p := lo; p < hi; p++ {
		s.change(p, f)
	}
}

// pageMap maps page numbers to pages. Those of a window are kept in a slice, for speed alone.
type pageMap struct {
	low  uint64 // the window is [low, low+len(near))
	near []page
	far  map[uint64]page
}

func (m *pageMap) at(p uint64) page {
	if p-m.low < uint64(len(m.near)) {
		return m.near[p-m.low]
	}
	return m.far[p]
}

func (m *pageMap) set(p uint64, v page) {
	switch {
	case p-m.low < uint64(len(m.near)):
		m.near[p-m.low] = v
	case v.mapped:
		m.far[p] = v
	default:
		delete(m.far, p)
	}
}

// each yields the mapped pages, in any order.
func (m *pageMap) each() iter.Seq2[uint64, page] {
	return func(yield func(uint64, page) bool) {
		for i, v := range m.near {
			if v.mapped && !yield(m.low+uint64(i), v) {
				return
			}
		}
		for p, v := range m.far {
			if !yield(p, v) {
				return
			}
		}
	}
}
