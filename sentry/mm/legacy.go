package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// legacySearch is what the Legacy layout remembers from one search to the next (mm_struct of
// Linux 2.6), in bytes. The zero value is that of a new address space whose base is not known.
type legacySearch struct {
	freeAreaCache  uint64 // where the next search starts, unless something smaller may fit below
	cachedHoleSize uint64 // below freeAreaCache there is no hole larger than this
}

// anyHole is a cachedHoleSize that lets every search start at the base.
const anyHole = ^uint64(0)

// searchLegacy mirrors arch_get_unmapped_area as Linux 2.6 had it: a free hint, else the first fit
// upwards from where the last search ended, and only when that meets the end of user addresses,
// once more from TASK_UNMAPPED_BASE.
//
//	base                freeAreaCache
//	 |[a)..[b)...[c)[d)|  -> from here, when length > cachedHoleSize
//	 |  ^^   ^^^          -> from the base, when a hole down here may do
//
// It knows neither guard gaps nor huge pages. What it remembers is kept even when the call is
// refused later on, as it was there.
func (m *MemoryManager) searchLegacy(q areaRequest) area {
	taskSize := uint64(m.cfg.TaskSize)
	if q.length > taskSize {
		return noArea(linux.ENOMEM)
	}
	if q.flags&linux.MAP_FIXED != 0 {
		return areaAt(q.hint)
	}
	if q.hint != 0 {
		addr := hostarch.PageAlign(q.hint)
		seg, ok := m.vmas.Find(addr)
		if taskSize-q.length >= addr && (!ok || addr+q.length <= seg.Start) {
			return areaAt(addr)
		}
	}
	base := uint64(m.mmapBase)
	if base == 0 {
		return area{unsure: true}
	}
	s := &m.legacy
	start := base
	if q.length > s.cachedHoleSize {
		start = max(s.freeAreaCache, base)
	} else {
		s.cachedHoleSize = 0
	}
	for {
		if addr, ok := m.firstFit(start, q.length); ok {
			s.freeAreaCache = addr + q.length
			return areaAt(addr)
		}
		if start == base {
			return noArea(linux.ENOMEM)
		}
		start, s.cachedHoleSize = base, 0 // full_search
	}
}

// firstFit returns the first address from addr on with length free bytes, and remembers the
// largest hole that it passed over.
func (m *MemoryManager) firstFit(addr, length uint64) (uint64, bool) {
	s := &m.legacy
	for seg, ok := m.vmas.Find(addr); ; seg, ok = m.vmas.Find(addr) {
		switch {
		case uint64(m.cfg.TaskSize)-length < addr:
			return 0, false
		case !ok || addr+length <= seg.Start:
			return addr, true
		case addr+s.cachedHoleSize < seg.Start:
			s.cachedHoleSize = seg.Start - addr
		}
		addr = seg.End
	}
}

// legacyUnmapped tells the search of a new hole, which begins where the VMA below it ends: below
// freeAreaCache, the next search starts at the base (arch_unmap_area). start is the lowest address
// that was unmapped.
func (m *MemoryManager) legacyUnmapped(start uint64) {
	addr, base := uint64(m.mmapBase), uint64(m.mmapBase)
	if prev, ok := m.vmas.Prev(start); ok {
		addr = prev.End
	}
	if s := &m.legacy; addr >= base && addr < s.freeAreaCache {
		s.freeAreaCache, s.cachedHoleSize = addr, anyHole
	}
}

// SetLayout makes the search for free addresses go as l says, whatever the exec did. It is called
// after Seed; MmapBase becomes the base of the new layout, 0 when that is not known.
func (m *MemoryManager) SetLayout(l Layout) {
	if l == m.layout {
		return
	}
	base := m.bottomBase
	if l == TopDown {
		base = m.topBase
	}
	m.layout = l
	m.SetMmapBase(base)
}

// resetLegacy starts the search anew (exec, fork).
func (m *MemoryManager) resetLegacy(hole uint64) {
	m.legacy = legacySearch{freeAreaCache: uint64(m.mmapBase), cachedHoleSize: hole}
}
