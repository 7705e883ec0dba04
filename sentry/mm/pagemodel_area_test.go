package mm

import (
	"strings"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// Where a mapping goes: by trying one page after the other.

const hugePages = hostarch.HugePageSize / pg

// wish is what an address is searched for.
type wish struct {
	hint  uint64 // in bytes; 0 is none
	n     uint64 // pages
	off   uint64 // in file, pages
	flags uint64 // MAP_*
	file  *File
}

// free reports whether the n pages from p on are free, and keep away from a stack above them.
func (s *space) free(p, n uint64) bool {
	for i := range n {
		if s.has(p + i) {
			return false
		}
	}
	_, near := s.stackNear(p + n)
	return !near
}

// stackNear returns the page at which the guard of a stack begins, if nothing but free pages lie between p
// and that stack, and p is in its guard.
func (s *space) stackNear(p uint64) (guard uint64, near bool) {
	gap := s.cfg.StackGuardGap / pg
	for i := range gap {
		if next := s.at(p + i); next.mapped {
			return p + i - min(gap, p+i), next.is(VM_GROWSDOWN)
		}
	}
	return 0, false
}

// lowest returns the lowest n free pages in [lo, hi).
func (s *space) lowest(lo, hi, n uint64) (uint64, bool) {
	for p := max(lo, s.minPage()); p+n <= hi; p++ {
		if s.free(p, n) {
			return p, true
		}
	}
	return 0, false
}

// highest returns the highest n free pages in [lo, hi). Where they would be in the guard of a stack, the
// kernel goes on below that guard, even if something else lies in it that would make the pages below that
// free.
func (s *space) highest(lo, hi, n uint64) (uint64, bool) {
	lo = max(lo, s.minPage())
	for p := hi - n; n <= hi && p >= lo && p <= hi; p-- {
		if s.free(p, n) {
			return p, true
		}
		used := false
		for q := p; q < p+n; q++ {
			used = used || s.has(q)
		}
		if guard, near := s.stackNear(p + n); near && !used {
			if p = guard - n + 1; guard == 0 {
				return s.taskPages(), true // below nothing is the end of all, which is of no use
			}
		}
	}
	return 0, false
}

func (s *space) minPage() uint64 { return pagesOf(uint64(s.cfg.MmapMinAddr)) }

// search looks in the direction of the layout; ok is false when there is no room. Going down, what
// finds no place below the base is searched for upwards.
func (s *space) search(w wish) (addr uint64, ok bool) {
	low, high := s.legacyBase, s.taskPages()
	if s.layout == BottomUp {
		low = s.mmapBase
	}
	if w.flags&linux.MAP_32BIT != 0 {
		low, high = low32Start/pg, low32End/pg
	}
	down := s.layout == TopDown && w.flags&linux.MAP_32BIT == 0
	if down {
		high = s.taskPages()
	}
	if hint := w.hint / pg; hint != 0 && w.n <= high && hint <= high-w.n && s.free(hint, w.n) {
		return w.hint, true
	}
	if down {
		from := uint64(1)
		if w.flags&linux.MAP_ABOVE4G != 0 {
			from = above4G / pg
		}
		if p, ok := s.highest(from, s.mmapBase, w.n); ok {
			return p * pg, true
		}
	}
	p, ok := s.lowest(low, high, w.n)
	return p * pg, ok
}

// hugeAligned places what can hold a huge page so that offset and address agree in where one begins:
// it searches for a huge page more, and goes up to the next such place in that.
func (s *space) hugeAligned(w wish) (uint64, bool) {
	// Near the largest offset, 2^63, the kernel's signed arithmetic overflows: a huge page that would
	// begin there lies below everything, and so leaves much room; an end there is below everything.
	firstHuge := (w.off + hugePages - 1) / hugePages * hugePages
	const tooFar = 1 << 63 / pg
	endFar, firstFar := w.off+w.n >= tooFar, firstHuge >= tooFar
	if endFar != firstFar && endFar || endFar == firstFar && w.off+w.n < firstHuge+hugePages {
		return s.search(w)
	}
	more := w
	more.n += hugePages
	addr, ok := s.search(more)
	if !ok {
		return s.search(w)
	}
	if addr == w.hint {
		return addr, true
	}
	p := addr / pg
	if s.layout == TopDown && p%hugePages == w.off%hugePages {
		return (p + hugePages) * pg, true // the upper end of what was found
	}
	for p%hugePages != w.off%hugePages {
		p++
	}
	return p * pg, true
}

// shmemAligned does the same for shared memory, where its filesystem gives huge pages.
func (s *space) shmemAligned(w wish) (uint64, bool) {
	addr, ok := s.search(w)
	internal := w.file == nil || w.file.Kind != Shmem || strings.HasPrefix(w.file.Name, "/memfd:")
	huge := internal && s.cfg.ShmemHuge || !internal && w.file.THPArea
	if !ok || addr == w.hint || !huge || w.n < hugePages {
		return addr, ok
	}
	off := w.off % hugePages
	if off != 0 && off+w.n < 2*hugePages || addr/pg%hugePages == off {
		return addr, ok
	}
	more := w
	more.n += hugePages - 1
	if more.n > s.taskPages() {
		return addr, ok
	}
	there, ok := s.search(more)
	if !ok {
		return addr, true
	}
	p := there / pg
	for p%hugePages != off {
		p++
	}
	if p > s.taskPages()-w.n {
		return addr, true
	}
	return p * pg, true
}

// find returns the address for a new mapping, or why there is none (get_unmapped_area).
func (s *space) find(w wish) answer {
	task := uint64(s.cfg.TaskSize)
	if w.n > s.taskPages() {
		return limited(limits.Space)
	}
	if w.file == nil {
		w.off = 0
	}
	addr, ok := w.hint, true
	shared := w.flags&linux.MAP_SHARED != 0
	switch {
	case w.flags&linux.MAP_FIXED != 0:
	case w.file == nil && shared, w.file != nil && (w.file.Kind == Shmem || w.file.Kind == SysV || w.file.Kind == DevZero && shared):
		addr, ok = s.shmemAligned(w)
	case w.file == nil && w.hint == 0 && w.n%hugePages == 0,
		w.file != nil && (w.file.Kind == DevZero || w.file.THPArea):
		addr, ok = s.hugeAligned(w)
	default:
		addr, ok = s.search(w)
	}
	switch {
	case !ok, addr > task-w.n*pg:
		return limited(limits.Space)
	case addr%pg != 0:
		return no(linux.EINVAL)
	case addr < uint64(s.cfg.DACMinAddr) && !s.c.Creds.SysRawIO:
		return no(linux.EPERM)
	}
	return returns(addr)
}
