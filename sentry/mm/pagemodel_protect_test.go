package mm

import (
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// The calls that change what is mapped: protection, locks, seals, policies, names.

// pageRange returns the pages of a range of whole pages, as most calls name it. They answer EINVAL when
// the start is not aligned or the end wraps.
func pageRange(addr, length uint64) (lo, hi uint64, errno linux.Errno) {
	n := pagesOf(length)
	if addr%pg != 0 || length != 0 && n == 0 || addr+n*pg < addr {
		return 0, 0, linux.EINVAL
	}
	return addr / pg, addr/pg + n, 0
}

func (s *space) mprotect(addr, length, prot uint64) answer {
	const down, up = linux.PROT_GROWSDOWN, linux.PROT_GROWSUP
	grows := prot & (down | up)
	prot -= grows
	n := pagesOf(length)
	switch {
	case grows == down|up, addr%pg != 0:
		return no(linux.EINVAL)
	case length == 0:
		return answer{}
	case n == 0, addr+n*pg <= addr:
		return no(linux.ENOMEM)
	case prot&^(vmAccessProt|linux.PROT_SEM) != 0:
		return no(linux.EINVAL)
	}
	lo, hi := addr/pg, addr/pg+n
	first, ok := s.next(lo)
	switch {
	case !ok || first >= hi:
		return no(linux.ENOMEM)
	case grows == down && !s.at(first).is(VM_GROWSDOWN):
		return no(linux.EINVAL)
	case grows == down:
		lo, _ = s.vma(first) // down to the start of the stack
	case first > lo:
		return no(linux.ENOMEM)
	case grows == up:
		return no(linux.EINVAL)
	}
	return s.walk(lo, hi, func() answer { return no(linux.ENOMEM) }, func(lo, hi uint64) answer {
		return s.protectPart(lo, hi, prot)
	})
}

const vmAccessProt = linux.PROT_READ | linux.PROT_WRITE | linux.PROT_EXEC

// protectPart protects pages of one VMA.
func (s *space) protectPart(lo, hi, prot uint64) answer {
	old := s.at(lo)
	if prot&linux.PROT_READ != 0 && s.c.Personality&linux.READ_IMPLIES_EXEC != 0 && old.is(VM_MAYEXEC) {
		prot |= linux.PROT_EXEC
	}
	f := old.flags&^vmAccess | Flags(prot)&vmAccess
	gains := f &^ old.flags
	for _, x := range []struct{ access, may Flags }{{VM_READ, VM_MAYREAD}, {VM_WRITE, VM_MAYWRITE}, {VM_EXEC, VM_MAYEXEC}} {
		if f&x.access != 0 && f&x.may == 0 {
			return no(linux.EACCES)
		}
	}
	switch {
	case s.mdwe && f&VM_EXEC != 0 && (gains&VM_EXEC != 0 || f&VM_WRITE != 0):
		return no(linux.EACCES)
	case old.is(VM_SEALED):
		return no(linux.EPERM)
	case f == old.flags:
		return answer{}
	}
	if f&VM_WRITE != 0 {
		// New data is counted, unless there was too much before.
		if why := s.mayExpand(f, hi-lo); why != "" && s.mayExpand(old.flags, hi-lo) == "" {
			return limited(why)
		}
		if !old.is(VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE) {
			if why := s.machineHas(hi - lo); why != "" {
				return limited(why)
			}
			f |= VM_ACCOUNT
		}
	} else if old.anonymous() && old.anon == 0 {
		f &^= VM_ACCOUNT // nothing was ever written
	}
	a := s.modify(lo, hi, func(p *page) { p.flags = f })
	if !a.refused() && old.is(VM_LOCKED) && old.private() && !old.is(VM_WRITE) && f&VM_WRITE != 0 {
		s.populate(lo, hi, false)
	}
	return a
}

// setLocks sets the lock flags of pages of one VMA. What is not memory is passed over.
func (s *space) setLocks(lo, hi uint64, locks Flags) answer {
	if s.at(lo).is(vmSpecial | VM_DROPPABLE) {
		return answer{}
	}
	return s.modify(lo, hi, func(p *page) { p.flags = p.flags&^(VM_LOCKED|VM_LOCKONFAULT) | locks })
}

// lockPages sets the lock flags of [lo, hi), up to the first hole.
func (s *space) lockPages(lo, hi uint64, locks Flags) answer {
	return s.walk(lo, hi, func() answer { return no(linux.ENOMEM) }, func(lo, hi uint64) answer {
		return s.setLocks(lo, hi, locks)
	})
}

// outerPages returns the pages that a range touches.
func outerPages(addr, length uint64) (lo, hi uint64, wraps bool) {
	n := pagesOf(length + addr%pg)
	return addr / pg, addr/pg + n, addr-addr%pg+n*pg < addr-addr%pg
}

// mlock locks; sure says that what is not known of files is not asked.
func (s *space) mlock(addr, length, flags uint64, sure bool) answer {
	if flags&^linux.MLOCK_ONFAULT != 0 {
		return no(linux.EINVAL)
	}
	locks := VM_LOCKED
	if flags != 0 {
		locks |= VM_LOCKONFAULT
	}
	if !s.mayLockAtAll() {
		return limited(limits.MemLock).as(linux.EPERM)
	}
	lo, hi, wraps := outerPages(addr, length)
	limit := s.c.Limits.MemLock / pg
	if !s.c.Creds.IPCLock && s.totals().LockedVM+hi-lo > limit {
		already := uint64(0) // does not count twice
		for q, p := range s.each() {
			if q >= lo && q < hi && p.is(VM_LOCKED) {
				already++
			}
		}
		if s.totals().LockedVM+hi-lo-already > limit {
			return limited(limits.MemLock)
		}
	}
	if wraps {
		return no(linux.EINVAL)
	}
	bad, unknown := s.faults(lo, hi, locks)
	if unknown && !sure {
		return unsureAnswer()
	}
	if a := s.lockPages(lo, hi, locks); a.refused() {
		return a
	}
	s.populate(lo, hi, false)
	if bad {
		return no(linux.ENOMEM) // the pages stay locked
	}
	return answer{}
}

// faults says what touching the pages [lo, hi) will give once they are locked so: certainly a fault, or
// nobody knows. Locking stops at a hole before anything is touched.
func (s *space) faults(lo, hi uint64, locks Flags) (bad, unknown bool) {
	if s.holes(lo, hi) {
		return false, false
	}
	for p := lo; p < hi; p++ {
		v := s.at(p)
		switch {
		case v.is(VM_IO | VM_PFNMAP), locks&VM_LOCKONFAULT != 0 && !v.is(vmSpecial|VM_DROPPABLE):
		case !v.is(vmAccess), s.guards[p], v.behindEnd() && !s.orphan(v):
			return true, false
		case v.anonymous():
		case s.orphan(v), v.file != nil && v.file.Size == 0:
			unknown = true
		}
	}
	return false, unknown
}

// orphan: an AIO ring whose context is gone, or another process's, loses its pages some day.
func (s *space) orphan(p page) bool { return p.file != nil && p.file.Kind == Ring && !s.rings[p.file] }

func (s *space) munlock(addr, length uint64) answer {
	lo, hi, wraps := outerPages(addr, length)
	if wraps {
		return no(linux.EINVAL)
	}
	return s.lockPages(lo, hi, 0)
}

func (s *space) mlockall(flags uint64) answer {
	const current, future, onFault = linux.MCL_CURRENT, linux.MCL_FUTURE, linux.MCL_ONFAULT
	if flags&^(current|future|onFault) != 0 || flags&(current|future) == 0 {
		return no(linux.EINVAL)
	}
	if !s.mayLockAtAll() {
		return limited(limits.MemLock).as(linux.EPERM)
	}
	if flags&current != 0 && !s.c.Creds.IPCLock && s.totals().TotalVM > s.c.Limits.MemLock/pg {
		return limited(limits.MemLock)
	}
	locks := VM_LOCKED
	if flags&onFault != 0 {
		locks |= VM_LOCKONFAULT
	}
	s.defFlags &^= VM_LOCKED | VM_LOCKONFAULT
	if flags&future != 0 {
		s.defFlags |= locks
	}
	if flags&current != 0 {
		s.lockEverything(locks)
		s.populate(0, s.taskPages(), true)
	}
	return answer{}
}

func (s *space) munlockall() answer {
	s.defFlags &^= VM_LOCKED | VM_LOCKONFAULT
	s.lockEverything(0)
	return answer{}
}

// lockEverything passes over the VMAs that refuse.
func (s *space) lockEverything(locks Flags) {
	s.walk(0, s.taskPages(), nil, func(lo, hi uint64) answer {
		s.setLocks(lo, hi, locks)
		return answer{}
	})
}

func (s *space) mseal(addr, length, flags uint64) answer {
	lo, hi, errno := pageRange(addr, length)
	switch {
	case errno != 0, flags != 0:
		return no(linux.EINVAL)
	case s.holes(lo, hi):
		return no(linux.ENOMEM)
	}
	return s.walk(lo, hi, nil, func(lo, hi uint64) answer {
		return s.modify(lo, hi, func(p *page) { p.flags |= VM_SEALED })
	})
}

// mbind sets a policy that is stored as policy; 0 is the default one.
func (s *space) mbind(addr, length, policy uint64) answer {
	if pagesOf(length) == 0 {
		length = 0 // the one call, with the next, that takes a length that wraps for nothing
	}
	lo, hi, errno := pageRange(addr, length)
	if errno != 0 || lo == hi {
		return no(errno)
	}
	first, ok := s.next(lo)
	if !ok || first >= hi || policy != 0 && s.holes(lo, hi) {
		return no(linux.EFAULT)
	}
	return s.walk(lo, hi, nil, func(lo, hi uint64) answer {
		return s.modify(lo, hi, func(p *page) { p.policy = policy })
	})
}

// setHome sets home node 0 of the policies in the range. Only some policies have one.
func (s *space) setHome(addr, length, flags uint64) answer {
	if pagesOf(length) == 0 {
		length = 0
	}
	lo, hi, errno := pageRange(addr, length)
	if errno != 0 || flags != 0 {
		return no(linux.EINVAL)
	}
	found := lo == hi
	a := s.walk(lo, hi, nil, func(lo, hi uint64) answer {
		old := s.at(lo).policy
		switch mode := old >> policyModeShift; {
		case old == 0:
			return answer{}
		case mode != mpolBind && mode != mpolPreferredMany:
			return no(linux.EOPNOTSUPP)
		}
		found = true
		return s.modify(lo, hi, func(p *page) { p.policy = old&^uint64(policyHomeMask) | 1<<policyHomeShift })
	})
	if !found && !a.refused() {
		return no(linux.ENOENT)
	}
	return a
}

// setName names anonymous memory, private or shared.
func (s *space) setName(addr, length uint64, name uint8) answer {
	lo, hi, errno := pageRange(addr, length)
	if errno != 0 || lo == hi {
		return no(errno)
	}
	return s.advise(lo, hi, func(lo, hi uint64) answer {
		if p := s.at(lo); p.file != nil && !p.isAnonShmem() {
			return no(linux.EBADF)
		}
		return s.modify(lo, hi, func(p *page) { p.name = name })
	})
}

// msync has an answer and changes nothing.
func (s *space) msync(addr, length, flags uint64) answer {
	const async, invalidate, sync = linux.MS_ASYNC, linux.MS_INVALIDATE, linux.MS_SYNC
	n := pagesOf(length)
	switch {
	case flags&^(async|invalidate|sync) != 0, addr%pg != 0, flags&async != 0 && flags&sync != 0:
		return no(linux.EINVAL)
	case addr+n*pg < addr:
		return no(linux.ENOMEM)
	}
	hole := answer{}
	unknown := false
	a := s.walk(addr/pg, addr/pg+n, func() answer {
		hole = no(linux.ENOMEM)
		if flags == async {
			return hole // only then is the rest not looked at
		}
		return answer{}
	}, func(lo, hi uint64) answer {
		p := s.at(lo)
		if flags&invalidate != 0 && p.is(VM_LOCKED) {
			return no(linux.EBUSY)
		}
		if flags&sync != 0 && p.file != nil && p.is(VM_SHARED) {
			if p.file.Kind == Ring {
				return no(linux.EINVAL) // it cannot be synced
			}
			unknown = unknown || p.file.Kind != Shmem && p.file.Kind != SysV
		}
		return answer{}
	})
	switch {
	case unknown:
		return unsureAnswer()
	case a.refused():
		return a
	}
	return hole
}

// setMDWE forbids memory to become executable, for good.
func (s *space) setMDWE(bits uint64) answer {
	const refuse, noInherit = linux.PR_MDWE_REFUSE_EXEC_GAIN, linux.PR_MDWE_NO_INHERIT
	if bits > refuse|noInherit || bits == noInherit {
		return no(linux.EINVAL)
	}
	mdwe, not := bits&refuse != 0, bits&noInherit != 0
	if s.mdwe && (mdwe != s.mdwe || not != s.mdweNoInherit) {
		return no(linux.EPERM)
	}
	s.mdwe, s.mdweNoInherit = mdwe, not
	return answer{}
}

// setMemoryMerge lets KSM look at all memory, or at none; nothing is merged or split by it.
func (s *space) setMemoryMerge(on bool) answer {
	if on == s.mergeAny {
		return answer{}
	}
	s.mergeAny = on
	for q, p := range s.each() {
		if p.flags &^= VM_MERGEABLE; on && (s.at(q).is(VM_MERGEABLE) || p.mayKSM()) {
			p.flags |= VM_MERGEABLE
		}
		s.set(q, p)
	}
	return answer{}
}

// fork returns the child.
func (s *space) fork() *space {
	n := s.clone()
	n.forked = true
	n.leak = 0
	clear(n.rings)
	n.defFlags &= VM_NOHUGEPAGE
	n.mdwe, n.mdweNoInherit = s.mdwe && !s.mdweNoInherit, false
	for q, p := range s.each() {
		if p.is(VM_DONTCOPY) {
			n.set(q, page{})
			delete(n.guards, q)
			continue
		}
		if p.is(VM_WIPEONFORK) {
			delete(n.guards, q)
		}
		p.flags &^= VM_LOCKED | VM_LOCKONFAULT
		n.set(q, p)
	}
	return n
}
