package mm

import (
	"maps"

	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// mremap, which is several calls in one.

// move is an mremap under way, in pages.
type move struct {
	at, old, new, to   uint64
	delta              uint64 // between old and new, as they were asked for
	fixed, keep, moves bool   // MREMAP_FIXED, MREMAP_DONTUNMAP, MREMAP_MAYMOVE
}

func (s *space) mremap(addr, oldLen, newLen, flags, newAddr uint64) answer {
	const known = linux.MREMAP_FIXED | linux.MREMAP_MAYMOVE | linux.MREMAP_DONTUNMAP
	r := move{at: addr / pg, old: pagesOf(oldLen), new: pagesOf(newLen), to: newAddr / pg,
		fixed: flags&linux.MREMAP_FIXED != 0, keep: flags&linux.MREMAP_DONTUNMAP != 0, moves: flags&linux.MREMAP_MAYMOVE != 0}
	r.delta = max(r.old, r.new) - min(r.old, r.new)
	if flags&^known != 0 || addr%pg != 0 || r.new == 0 || r.new > s.taskPages() {
		return no(linux.EINVAL)
	}
	if r.fixed || r.keep {
		switch {
		case newAddr%pg != 0, r.to+r.new > s.taskPages(), !r.moves:
			return no(linux.EINVAL)
		case r.keep && r.old != r.new:
			return no(linux.EINVAL)
		case addr < newAddr+r.new*pg && newAddr < addr+r.old*pg:
			return no(linux.EINVAL) // the two overlap, unless the end of the old one wraps
		case s.vmas()+6 > uint64(s.cfg.MaxMapCount):
			// Both ends may be split in three before anything is unmapped.
			return limited(limits.MapCount)
		}
	}
	switch {
	case r.fixed && r.old == r.new:
		return s.moveSeveral(r)
	case r.fixed || r.keep:
		if a := s.mayMove(&r); a.refused() {
			return a
		}
		return s.moveTo(r)
	}
	if a := s.mayMove(&r); a.refused() {
		return a
	}
	return s.resize(r)
}

// moveSeveral moves all VMAs in the range, and the holes between them. No hole is allowed at the start.
func (s *space) moveSeveral(r move) answer {
	result := no(linux.EFAULT)
	first := true
	a := s.walk(r.at, r.at+r.old, nil, func(lo, hi uint64) answer {
		p := s.at(lo)
		if first && lo != r.at {
			return no(linux.EFAULT)
		}
		if f := p.file; f != nil && (f.Kind == SysV || f.Kind == DevZero) && (!first || hi < r.at+r.old) {
			return no(linux.EFAULT) // its place may be its own choice: only moved alone
		}
		part := r
		part.at, part.old, part.new, part.to = lo, hi-lo, hi-lo, r.to+(lo-r.at)
		a := s.mayMove(&part)
		if !a.refused() {
			a = s.moveTo(part)
		}
		if first {
			result, first = a, false
		}
		return a
	})
	if a.refused() {
		return a
	}
	return result
}

// mayMove checks what can be said before anything is done.
func (s *space) mayMove(r *move) answer {
	p, ok := s.at(r.at), s.has(r.at)
	switch {
	case !ok:
		return no(linux.EFAULT)
	case p.is(VM_SEALED):
		return no(linux.EPERM)
	}
	s.began = true
	if r.new <= r.old && !r.fixed && !r.keep {
		return answer{} // it only becomes shorter
	}
	if r.old == 0 && !p.is(VM_SHARED|VM_MAYSHARE) {
		return no(linux.EINVAL) // a duplicate of private memory
	}
	noResize := p.is(VM_DONTEXPAND | VM_PFNMAP)
	if r.keep && noResize {
		return no(linux.EINVAL)
	}
	_, end := s.vma(r.at)
	if min(r.old, r.new) > end-r.at {
		return no(linux.EFAULT) // what moves lies in one VMA; what is cut off need not
	}
	if r.new <= r.old {
		return answer{}
	}
	if p.off+r.new < p.off {
		return no(linux.EINVAL)
	}
	if noResize {
		return no(linux.EFAULT)
	}
	if a := s.mayLock(p.flags, r.new-r.old); a.refused() {
		return a
	}
	if why := s.mayExpand(p.flags, r.new-r.old); why != "" {
		return limited(why)
	}
	return answer{}
}

// moveTo moves a part of one VMA, after making room for it.
func (s *space) moveTo(r move) answer {
	if r.fixed {
		if a := s.munmap(r.to*pg, r.new*pg); a.refused() {
			return a
		}
		if !s.has(r.at) {
			return no(linux.EFAULT) // the target was the source
		}
	}
	if r.new < r.old {
		if a := s.munmap((r.at+r.new)*pg, (r.old-r.new)*pg); a.refused() {
			return a
		}
		r.old = r.new
	}
	if r.keep {
		if why := s.mayExpand(s.at(r.at).flags, r.old); why != "" {
			return limited(why)
		}
	}
	return s.moveVMA(r)
}

// resize makes the mapping shorter or longer where it is, or moves it to where there is room.
func (s *space) resize(r move) answer {
	stays := returns(r.at * pg)
	switch {
	case r.new == r.old:
		return stays
	case r.new < r.old:
		if a := s.munmap((r.at+r.new)*pg, (r.old-r.new)*pg); a.refused() {
			return a
		}
		return stays
	}
	from, end := s.vma(r.at)
	more := r.new - r.old
	p := s.at(end - 1)
	room := end == r.at+r.old && end+more <= s.taskPages() && (from*pg >= uint64(s.cfg.DACMinAddr) || s.c.Creds.SysRawIO)
	for q := end; room && q < end+more; q++ {
		room = !s.has(q)
	}
	switch {
	case room:
		if p.is(VM_ACCOUNT) {
			if why := s.machineHas(more); why != "" {
				return limited(why)
			}
		}
		if p.is(vmSpecial) {
			return no(linux.ENOMEM) // it does not even merge with its own extension
		}
		p.off++
		s.place(end, end+more, p)
		_, right := s.mergeEnds(end, end+more, true, true)
		s.bound(end, end+more, true, right)
		if p.is(VM_LOCKED) {
			s.populate(end, end+more, false)
		}
		return stays
	case !r.moves:
		return limited(limits.Space)
	}
	r.to = 0
	return s.moveVMA(r)
}

// moveVMA puts the pages to their new place and takes them from the old one.
func (s *space) moveVMA(r move) answer {
	p := s.at(r.at)
	from, end := s.vma(r.at)
	w := wish{hint: r.to * pg, n: r.new, off: p.off, file: p.file}
	if r.fixed {
		w.flags |= linux.MAP_FIXED
	}
	if p.is(VM_MAYSHARE) {
		w.flags |= linux.MAP_SHARED
	}
	at := s.find(w)
	if at.refused() {
		return at
	}
	to := at.addr / pg
	if s.vmas()+4 > uint64(s.cfg.MaxMapCount) {
		return limited(limits.MapCount)
	}
	if (from != r.at || end != r.at+r.old) && p.special {
		return no(linux.EINVAL)
	}
	if p.is(VM_ACCOUNT) {
		n := r.delta // of a shrinking move as well: the kernel asks for what has just been given back
		if r.keep {
			n = r.new
		}
		if why := s.machineHas(n); why != "" {
			return limited(why)
		}
	}
	if s.orphan(p) {
		return no(linux.EINVAL) // a ring only moves with its context
	}
	if p.anonymous() && p.anon == 0 {
		p.off = to // memory that was never written is as if it were mapped there
	}
	guards := maps.Clone(s.guards)
	s.put(to, to+r.new, p)
	for q := range r.old {
		delete(s.guards, r.at+q)
		if delete(s.guards, to+q); guards[r.at+q] {
			s.guards[to+q] = true
		}
	}
	if r.keep {
		s.leaveBehind(r, from, end, to)
	} else if r.old != 0 {
		s.remove(r.at, r.at+r.old)
	}
	if p.is(VM_LOCKED) && r.new > r.old {
		s.populate(to+r.old, to+r.new, false)
	}
	return returns(to * pg)
}

// leaveBehind is the end of MREMAP_DONTUNMAP: the VMA at the old place, which may have become one with the
// new, is no longer locked, all of it, and yet stays counted as locked.
func (s *space) leaveBehind(r move, from, end, to uint64) {
	lo, hi := s.vma(r.at)
	if s.at(lo).is(VM_LOCKED) {
		s.leak += hi - lo
	}
	gone := (to < lo || to >= hi) && from == r.at && end == r.at+r.old
	s.allOf(lo, hi, func(p *page) {
		p.flags &^= VM_LOCKED | VM_LOCKONFAULT
		if gone {
			p.anon = 0 // its pages are at the new place
		}
	})
}
