package mm

import "github.com/runsbx/runsbx/sentry/linux"

// Advice.

// flagAdvice are the advices that set or clear flags, and for which memory they are wrong.
var flagAdvice = map[int]struct {
	set, clear Flags
	wrong      func(p page) bool
}{
	linux.MADV_NORMAL:      {clear: VM_SEQ_READ | VM_RAND_READ},
	linux.MADV_RANDOM:      {set: VM_RAND_READ, clear: VM_SEQ_READ},
	linux.MADV_SEQUENTIAL:  {set: VM_SEQ_READ, clear: VM_RAND_READ},
	linux.MADV_DONTFORK:    {set: VM_DONTCOPY},
	linux.MADV_DOFORK:      {clear: VM_DONTCOPY, wrong: func(p page) bool { return p.is(VM_IO) }},
	linux.MADV_WIPEONFORK:  {set: VM_WIPEONFORK, wrong: func(p page) bool { return p.file != nil || p.is(VM_SHARED) }},
	linux.MADV_KEEPONFORK:  {clear: VM_WIPEONFORK, wrong: func(p page) bool { return p.is(VM_DROPPABLE) }},
	linux.MADV_DONTDUMP:    {set: VM_DONTDUMP},
	linux.MADV_DODUMP:      {clear: VM_DONTDUMP, wrong: func(p page) bool { return p.is(vmSpecial | VM_DROPPABLE) }},
	linux.MADV_UNMERGEABLE: {clear: VM_MERGEABLE},
	linux.MADV_HUGEPAGE:    {set: VM_HUGEPAGE, clear: VM_NOHUGEPAGE},
	linux.MADV_NOHUGEPAGE:  {set: VM_NOHUGEPAGE, clear: VM_HUGEPAGE},
}

// otherAdvice are those that are about pages, which are not looked at here, and for which memory they
// are wrong.
var otherAdvice = map[int]func(p page) bool{
	linux.MADV_WILLNEED:        func(p page) bool { return false },
	linux.MADV_COLD:            func(p page) bool { return p.is(VM_LOCKED | VM_PFNMAP) },
	linux.MADV_PAGEOUT:         func(p page) bool { return p.is(VM_LOCKED | VM_PFNMAP) },
	linux.MADV_DONTNEED:        func(p page) bool { return p.is(VM_LOCKED | VM_PFNMAP) },
	linux.MADV_DONTNEED_LOCKED: func(p page) bool { return p.is(VM_PFNMAP) },
	linux.MADV_FREE:            func(p page) bool { return p.is(VM_LOCKED|VM_PFNMAP) || !p.anonymous() },
	linux.MADV_GUARD_REMOVE:    func(p page) bool { return p.is(vmSpecial) },
}

// discards are the advices that throw memory away.
var discards = map[int]bool{
	linux.MADV_FREE: true, linux.MADV_DONTNEED: true, linux.MADV_DONTNEED_LOCKED: true, linux.MADV_REMOVE: true,
	linux.MADV_DONTFORK: true, linux.MADV_WIPEONFORK: true, linux.MADV_GUARD_INSTALL: true,
}

// advise gives every part of [lo, hi) an advice. Holes are passed over, and answered in the end.
func (s *space) advise(lo, hi uint64, visit func(lo, hi uint64) answer) answer {
	hole := answer{}
	a := s.walk(lo, hi, func() answer { hole = no(linux.ENOMEM); return answer{} }, func(lo, hi uint64) answer {
		a := visit(lo, hi)
		if a.errno == linux.ENOMEM {
			a.errno = linux.EAGAIN
		}
		return a
	})
	if a.refused() || a.unsure {
		return a
	}
	return hole
}

func (s *space) madvise(addr, length uint64, advice int) answer {
	lo, hi, errno := pageRange(addr, length)
	_, sets := flagAdvice[advice]
	other := otherAdvice[advice]
	switch advice {
	case linux.MADV_REMOVE, linux.MADV_GUARD_INSTALL, linux.MADV_MERGEABLE, linux.MADV_COLLAPSE:
	case linux.MADV_POPULATE_READ, linux.MADV_POPULATE_WRITE:
		if errno == 0 {
			return s.populateAdvice(lo, hi, advice == linux.MADV_POPULATE_WRITE)
		}
	default:
		if !sets && other == nil {
			return no(linux.EINVAL)
		}
	}
	if errno != 0 {
		return no(errno)
	}
	return s.advise(lo, hi, func(lo, hi uint64) answer { return s.advisePart(lo, hi, advice) })
}

// advisePart gives the advice to pages of one VMA.
func (s *space) advisePart(lo, hi uint64, advice int) answer {
	p := s.at(lo)
	if p.is(VM_SEALED) && discards[advice] && p.anonymous() && !p.is(VM_WRITE) {
		return no(linux.EPERM)
	}
	if wrong := otherAdvice[advice]; wrong != nil {
		if wrong(p) {
			return no(linux.EINVAL)
		}
		for q := lo; advice == linux.MADV_GUARD_REMOVE && q < hi; q++ {
			delete(s.guards, q)
		}
		return answer{}
	}
	switch advice {
	case linux.MADV_REMOVE:
		switch {
		case p.is(VM_LOCKED), p.file == nil:
			return no(linux.EINVAL)
		case !p.is(VM_SHARED), !p.is(VM_MAYWRITE):
			return no(linux.EACCES)
		case p.file.Kind == Shmem && p.file.Seals == 0, p.file.Kind == SysV:
			return answer{}
		}
		return unsureAnswer()
	case linux.MADV_COLLAPSE:
		if p.is(VM_NOHUGEPAGE | vmSpecial) {
			return no(linux.EINVAL)
		}
		return unsureAnswer()
	case linux.MADV_GUARD_INSTALL:
		if p.is(vmSpecial | VM_LOCKED) {
			return no(linux.EINVAL)
		}
		from, to := s.vma(lo)
		s.allOf(from, to, func(p *page) { p.flags |= VM_MAYBE_GUARD })
		for q := lo; q < hi; q++ {
			s.guards[q] = true
		}
		if p.anonymous() {
			s.fault(lo, true)
		}
		return answer{}
	case linux.MADV_MERGEABLE:
		if !p.mayKSM() {
			return answer{}
		}
		return s.modify(lo, hi, func(p *page) { p.flags |= VM_MERGEABLE })
	}
	a := flagAdvice[advice]
	if a.wrong != nil && a.wrong(p) {
		return no(linux.EINVAL)
	}
	return s.modify(lo, hi, func(p *page) { p.flags = p.flags&^a.clear | a.set })
}

// populateAdvice touches the pages one after the other, up to the first that cannot be. Holes, guards and
// files whose end is not known make the answer uncertain, unless something before says no.
func (s *space) populateAdvice(lo, hi uint64, write bool) answer {
	need := VM_READ
	if write {
		need = VM_WRITE
	}
	unknown, touched, got := false, lo, answer{}
	for p := lo; p < hi && !got.refused(); p++ {
		v, ok := s.at(p), s.has(p)
		switch {
		case !ok:
			got = no(linux.ENOMEM)
			continue
		case v.is(VM_IO | VM_PFNMAP), !v.is(need):
			got = no(linux.EINVAL)
			continue
		case s.guards[p]:
			got = no(linux.EFAULT)
			unknown = unknown || v.special || s.orphan(v) || !v.anonymous() && v.file.Size == 0
			continue
		case v.special, s.orphan(v):
			unknown = true
		case v.anonymous():
		case v.file.Size == 0:
			unknown = true
		case v.behindEnd():
			got = no(linux.EFAULT)
		}
		touched, s.began = p+1, true
	}
	if unknown {
		return unsureAnswer()
	}
	for p := lo; p < touched; p++ {
		s.fault(p, write)
	}
	return got
}
