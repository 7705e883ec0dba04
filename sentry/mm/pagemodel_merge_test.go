package mm

import "github.com/runsbx/runsbx/sentry/linux"

// Which pages belong to one VMA: where boundaries come and go.

// alike reports whether b, the page after a, may belong to a's VMA.
func alike(a, b page) bool {
	if a.off+1 != b.off || a.anon != b.anon && a.anon != 0 && b.anon != 0 {
		return false
	}
	if a.is(vmSpecial) || a.special {
		return false // never, not even with themselves
	}
	a.flags, b.flags = a.flags&^vmSticky, b.flags&^vmSticky
	a.off, a.anon, a.first = b.off, b.anon, b.first
	return a == b
}

// joins reports whether the pages on both sides of the boundary p may belong to one VMA.
func (s *space) joins(p uint64) bool {
	return p > 0 && s.has(p-1) && s.has(p) && alike(s.at(p-1), s.at(p))
}

// closes reports whether the VMA's driver wants to hear of its end, so that it does not go by
// becoming part of another.
func (p page) closes() bool {
	return p.file != nil && (p.file.Close || p.file.Kind == SysV || p.file.Kind == Ring)
}

// mergeEnds lets the pages [lo, hi) become one VMA with the pages before lo, if left, and with those
// from hi on, if right, as far as they are alike. It reports which ends have merged.
func (s *space) mergeEnds(lo, hi uint64, left, right bool) (bool, bool) {
	left, right = left && s.joins(lo), right && s.joins(hi)
	if left && right {
		a, b := s.at(lo-1), s.at(hi)
		if a.anon != 0 && b.anon != 0 && a.anon != b.anon || b.closes() {
			right = false // the three cannot be one
		}
	}
	return left, right
}

// bound makes boundaries of the ends of [lo, hi), or not.
func (s *space) bound(lo, hi uint64, left, right bool) {
	s.change(lo, func(p *page) { p.first = !left })
	if s.has(hi) {
		s.change(hi, func(p *page) { p.first = !right })
	}
	s.unify(lo)
}

// unify gives all pages of a VMA what the whole VMA has: the anon_vma and the sticky flags.
func (s *space) unify(p uint64) {
	lo, hi := s.vma(p)
	var anon uint32
	var sticky Flags
	for p := lo; p < hi; p++ {
		anon = max(anon, s.at(p).anon)
		sticky |= s.at(p).flags & vmSticky
	}
	s.allOf(lo, hi, func(p *page) { p.anon = anon; p.flags |= sticky })
}

// put maps the free pages [lo, hi) to p, whose offset is that of the first one, as one VMA, and
// merges it with its neighbours.
func (s *space) put(lo, hi uint64, p page) {
	s.place(lo, hi, p)
	left, right := s.mergeEnds(lo, hi, true, true)
	s.bound(lo, hi, left, right)
}

// place is put without merging.
func (s *space) place(lo, hi uint64, p page) {
	for q := lo; q < hi; q++ {
		p.first, p.mapped = q == lo, true
		s.set(q, p)
		p.off++
	}
}

// split makes p a boundary.
func (s *space) split(p uint64) {
	if s.within(p) {
		s.change(p, func(p *page) { p.first = true })
	}
}

// maySplit: the kernel's own mappings stay whole.
func (s *space) maySplit(p uint64) linux.Errno {
	if s.at(p).special {
		return linux.EINVAL
	}
	return 0
}

// modify changes the pages [lo, hi), which lie in one VMA. The changed part becomes one with the
// neighbours that it is alike to, and else a VMA of its own, for which the old one is split, first
// at lo and then at hi: when the second split is refused, the first one stays.
func (s *space) modify(lo, hi uint64, change func(*page)) answer {
	was := s.at(lo)
	now := was
	if change(&now); now == was {
		return answer{}
	}
	from, to := s.vma(lo)
	old := make([]page, 0, 16)
	for p := lo; p < hi; p++ {
		old = append(old, s.at(p))
	}
	s.allOf(lo, hi, change)

	left, right := s.mergeEnds(lo, hi, lo == from, hi == to)
	if now.is(vmSpecial) || lo == from && hi == to && was.closes() {
		left, right = false, false
	}
	if !left && !right {
		for _, p := range []uint64{lo, hi} {
			if p == from || p == to {
				continue
			}
			errno, why := s.maySplit(lo), answer{}
			if s.full() {
				errno, why = linux.ENOMEM, limited("map-count")
			}
			if errno != 0 {
				first := s.at(lo).first
				for i, v := range old {
					s.set(lo+uint64(i), v)
				}
				s.change(lo, func(p *page) { p.first = first })
				return why.as(errno)
			}
			s.split(p)
		}
	}
	s.bound(lo, hi, left, right)
	return answer{}
}

// remove unmaps the mapped ones of the pages [lo, hi).
func (s *space) remove(lo, hi uint64) {
	s.split(hi)
	for p := lo; p < min(hi, s.taskPages()); p++ {
		s.set(p, page{})
		delete(s.guards, p)
	}
}

// prepareUnmap looks whether [lo, hi) may be unmapped, and splits the VMAs at both ends. What it has
// split by the time it finds an objection stays so.
func (s *space) prepareUnmap(lo, hi uint64) answer {
	if first, ok := s.next(lo); !ok || first >= hi {
		return answer{}
	}
	s.began = true
	if s.within(lo) {
		if _, end := s.vma(lo); hi < end && s.full() {
			return limited("map-count")
		}
		if s.at(lo).is(VM_SEALED) {
			return no(linux.EPERM)
		}
		if errno := s.maySplit(lo); errno != 0 {
			return no(errno)
		}
		s.split(lo)
	}
	for p := lo; p < min(hi, s.taskPages()); p++ {
		if s.at(p).is(VM_SEALED) {
			return no(linux.EPERM)
		}
	}
	if s.within(hi) {
		if errno := s.maySplit(hi); errno != 0 {
			return no(errno)
		}
		s.split(hi)
	}
	return answer{}
}

// fault touches the VMA that holds p. Private memory gets an anon_vma by that, anonymous memory by any
// fault, that of a file by a write: the one of a neighbour that differs in nothing but its protection,
// the next one first, or a new one.
func (s *space) fault(p uint64, write bool) {
	lo, hi := s.vma(p)
	v := s.at(lo)
	if v.anon != 0 || !v.anonymous() && !(write && v.private()) {
		return
	}
	anon := uint32(0)
	if s.has(hi) && reusable(s.at(hi-1), s.at(hi)) {
		anon = s.at(hi).anon
	}
	if anon == 0 && lo > 0 && s.has(lo-1) && reusable(s.at(lo-1), v) {
		anon = s.at(lo - 1).anon
	}
	if anon == 0 {
		s.anons++
		anon = s.anons
	}
	s.allOf(lo, hi, func(p *page) { p.anon = anon })
}

// reusable reports whether b, the page after a, differs in nothing but its protection.
func reusable(a, b page) bool {
	const may = vmAccess | vmSticky
	return a.flags&^may == b.flags&^may && a.file == b.file && a.policy == b.policy && a.off+1 == b.off
}

// populate touches the pages [lo, hi), as far as it comes: memory without access and pages behind the
// end of a file end it, unless it is to go on regardless.
func (s *space) populate(lo, hi uint64, regardless bool) {
	s.walk(lo, hi, nil, func(lo, hi uint64) answer {
		v := s.at(lo)
		switch {
		case v.is(VM_IO | VM_PFNMAP | VM_LOCKONFAULT):
			return answer{}
		case v.is(vmAccess):
			if !s.guards[lo] {
				s.fault(lo, v.is(VM_WRITE))
			}
			if !regardless && (s.at(hi-1).behindEnd() || s.guarded(lo, hi)) {
				return no(linux.EFAULT)
			}
		case !regardless:
			return no(linux.EFAULT)
		}
		return answer{}
	})
}

// guarded reports whether any of the pages [lo, hi) is a guard page.
func (s *space) guarded(lo, hi uint64) bool {
	for p := range s.guards {
		if lo <= p && p < hi {
			return true
		}
	}
	return false
}

// behindEnd reports whether the page's file is known to end before it.
func (p page) behindEnd() bool {
	return !p.anonymous() && p.file != nil && p.file.Size != 0 && p.off >= pagesOf(p.file.Size)
}
