package mm

import "github.com/runsbx/runsbx/sentry/hostarch"

// Where the guard pages lie that MADV_GUARD_INSTALL made is only followed after AssumeUntouched: it
// decides no VMA but through faults, and a range that is zapped behind our back loses none. They move
// with mremap, survive MADV_DONTNEED, and go when they are unmapped.
//
// m.guards is a sorted list of disjoint ranges, which is replaced and never changed, since snapshots
// share it.

// setGuards makes [start, end) guard pages, or ordinary ones.
func (m *MemoryManager) setGuards(start, end uint64, guard bool) {
	if !m.untouched || start == end || !guard && len(m.guards) == 0 {
		return
	}
	var out []hostarch.AddrRange
	add := func(lo, hi uint64) {
		if n := len(out); n > 0 && uint64(out[n-1].End) == lo {
			out[n-1].End = hostarch.Addr(hi)
		} else if lo < hi {
			out = append(out, hostarch.AddrRange{Start: hostarch.Addr(lo), End: hostarch.Addr(hi)})
		}
	}
	done := !guard
	for _, g := range m.guards {
		lo, hi := uint64(g.Start), uint64(g.End)
		add(lo, min(hi, max(lo, start)))
		if !done && hi > start {
			add(start, end)
			done = true
		}
		add(max(lo, min(hi, end)), hi)
	}
	if !done {
		add(start, end)
	}
	m.guards = out
}

// firstGuard returns the first guard page in [start, end).
func (m *MemoryManager) firstGuard(start, end uint64) (uint64, bool) {
	for _, g := range m.guards {
		if lo := max(start, uint64(g.Start)); lo < min(end, uint64(g.End)) {
			return lo, true
		}
	}
	return 0, false
}

// isGuarded reports whether there are guard pages in [start, end).
func (m *MemoryManager) isGuarded(start, end uint64) bool {
	_, ok := m.firstGuard(start, end)
	return ok
}

// moveGuards takes the guard pages of [from, from+length) to to (move_page_tables).
func (m *MemoryManager) moveGuards(from, to, length uint64) {
	old := m.guards
	m.setGuards(to, to+length, false)
	m.setGuards(from, from+length, false)
	for _, g := range old {
		if lo, hi := max(from, uint64(g.Start)), min(from+length, uint64(g.End)); lo < hi {
			m.setGuards(lo-from+to, hi-from+to, true)
		}
	}
}

// guardsUnknown reports whether the VMA may have guard pages that were not followed.
func (m *MemoryManager) guardsUnknown(v *VMA) bool {
	return !m.untouched && v.Flags&VM_MAYBE_GUARD != 0
}
