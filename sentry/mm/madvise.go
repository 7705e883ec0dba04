package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// MAdvise gives advice about [addr, addr+length), length rounded up to whole pages
// (sys_madvise). Advice that a VMA refuses stops at that VMA; holes do not stop it, but the
// answer is ENOMEM in the end. What was done before an errno stays, which Result.Partial says.
//
// Unsure are the advices whose answer depends on pages or on a filesystem: REMOVE of a file,
// POPULATE_* of files, COLLAPSE, and the injection of memory errors. They change no VMA.
//
// Errnos: EINVAL (advice, alignment, or a VMA to which it does not apply), ENOMEM (a hole),
// EAGAIN (vm.max_map_count), EPERM (sealed, or a capability is missing), EACCES, EFAULT.
func (m *MemoryManager) MAdvise(c *Caller, addr hostarch.Addr, length uint64, advice int) Result {
	rounded := hostarch.PageAlign(length)
	start := uint64(addr)
	end := start + rounded
	if !m.knowsAdvice(advice) || !addr.IsPageAligned() || length != 0 && rounded == 0 || end < start {
		return failed(linux.EINVAL)
	}
	if end == start {
		return succeeded(0)
	}
	switch advice {
	case linux.MADV_HWPOISON, linux.MADV_SOFT_OFFLINE:
		if !c.Creds.SysAdmin {
			return failed(linux.EPERM)
		}
		return Result{Unsure: true}
	case linux.MADV_POPULATE_READ, linux.MADV_POPULATE_WRITE:
		return m.madvisePopulate(start, end, advice == linux.MADV_POPULATE_WRITE)
	}
	m.ops++
	return m.madviseWalk(start, end, func(seg segment.Segment[VMA], lo, hi uint64) Result {
		return m.madviseVMA(seg, lo, hi, advice)
	})
}

// knowsAdvice mirrors madvise_behavior_valid.
func (m *MemoryManager) knowsAdvice(advice int) bool {
	switch advice {
	case linux.MADV_NORMAL, linux.MADV_RANDOM, linux.MADV_SEQUENTIAL, linux.MADV_WILLNEED,
		linux.MADV_DONTNEED, linux.MADV_FREE, linux.MADV_REMOVE, linux.MADV_DONTFORK,
		linux.MADV_DOFORK, linux.MADV_DONTDUMP, linux.MADV_DODUMP, linux.MADV_WIPEONFORK,
		linux.MADV_KEEPONFORK, linux.MADV_COLD, linux.MADV_PAGEOUT, linux.MADV_POPULATE_READ,
		linux.MADV_POPULATE_WRITE, linux.MADV_DONTNEED_LOCKED:
		return true
	case linux.MADV_GUARD_INSTALL, linux.MADV_GUARD_REMOVE:
		return !m.cfg.before(6, 13)
	case linux.MADV_MERGEABLE, linux.MADV_UNMERGEABLE:
		return m.cfg.KSM
	case linux.MADV_HUGEPAGE, linux.MADV_NOHUGEPAGE, linux.MADV_COLLAPSE:
		return m.cfg.THP
	case linux.MADV_HWPOISON, linux.MADV_SOFT_OFFLINE:
		return m.cfg.MemFailure
	}
	return false
}

// madviseWalk calls visit with each VMA in [start, end) and the part of it that lies in there
// (madvise_walk_vmas). Having passed over a hole, it answers ENOMEM.
func (m *MemoryManager) madviseWalk(start, end uint64, visit func(seg segment.Segment[VMA], lo, hi uint64) Result) Result {
	hole, done := false, false
	for start < end {
		seg, ok := m.vmas.Find(start)
		if !ok || seg.Start >= end {
			hole = true
			break
		}
		hole = hole || seg.Start > start
		lo, hi := max(start, seg.Start), min(end, seg.End)
		res := visit(seg, lo, hi)
		if res.Errno != 0 {
			res.Partial = res.Partial || done
			return res
		}
		if res.Unsure {
			return res
		}
		done, start = true, hi
	}
	if hole {
		return Result{Errno: linux.ENOMEM, Partial: done}
	}
	return succeeded(0)
}

// madviseVMA gives the advice to the part [lo, hi) of one VMA (madvise_vma_behavior).
func (m *MemoryManager) madviseVMA(seg segment.Segment[VMA], lo, hi uint64, advice int) Result {
	v := &seg.Value
	if !m.mayDiscard(v, advice) {
		return failed(linux.EPERM)
	}
	switch advice {
	case linux.MADV_GUARD_INSTALL, linux.MADV_GUARD_REMOVE:
		if m.cfg.before(6, 15) && !v.isAnonymous() {
			return failed(linux.EINVAL)
		}
	}
	switch advice {
	case linux.MADV_REMOVE:
		return madviseRemove(v)
	case linux.MADV_WILLNEED:
		return succeeded(0)
	case linux.MADV_COLD, linux.MADV_PAGEOUT:
		return refuseIf(v.Flags&(VM_LOCKED|VM_PFNMAP|VM_HUGETLB) != 0)
	case linux.MADV_FREE, linux.MADV_DONTNEED, linux.MADV_DONTNEED_LOCKED:
		return madviseDontNeed(v, lo, hi, advice)
	case linux.MADV_COLLAPSE:
		return madviseCollapse(v)
	case linux.MADV_GUARD_INSTALL:
		if v.Flags&(vmSpecial|VM_HUGETLB|VM_LOCKED) != 0 {
			return failed(linux.EINVAL)
		}
		v.Flags |= VM_MAYBE_GUARD // of the whole VMA
		m.setGuards(lo, hi, true)
		m.vmas.Update(seg.Start, seg.Start, seg.End, *v)
		if v.isAnonymous() {
			m.prepareAnon(seg)
		}
		return succeeded(0)
	case linux.MADV_GUARD_REMOVE:
		if v.Flags&(vmSpecial|VM_HUGETLB) == 0 {
			m.setGuards(lo, hi, false)
			return succeeded(0)
		}
		return failed(linux.EINVAL)
	}
	flags, errno := v.advised(advice)
	if errno != 0 {
		return failed(errno)
	}
	if flags == v.Flags {
		return succeeded(0)
	}
	part := clip(seg, lo, hi).Value
	part.Flags = flags
	return againFor(m.modifyOne(seg, lo, hi, part))
}

// againFor turns ENOMEM into EAGAIN, as madvise_vma_behavior does: "a kernel resource was
// temporarily unavailable".
func againFor(res Result) Result {
	if res.Errno == linux.ENOMEM {
		res.Errno = linux.EAGAIN
		res.Refusal.Errno = linux.EAGAIN
	}
	return res
}

func refuseIf(bad bool) Result {
	if bad {
		return failed(linux.EINVAL)
	}
	return succeeded(0)
}

// advised returns the VMA's flags once it has taken the advice, or why it cannot.
func (v *VMA) advised(advice int) (Flags, linux.Errno) {
	f := v.Flags
	switch advice {
	case linux.MADV_NORMAL:
		return f &^ (VM_RAND_READ | VM_SEQ_READ), 0
	case linux.MADV_SEQUENTIAL:
		return f&^VM_RAND_READ | VM_SEQ_READ, 0
	case linux.MADV_RANDOM:
		return f&^VM_SEQ_READ | VM_RAND_READ, 0
	case linux.MADV_DONTFORK:
		return f | VM_DONTCOPY, 0
	case linux.MADV_DOFORK:
		if f&VM_IO != 0 {
			return f, linux.EINVAL
		}
		return f &^ VM_DONTCOPY, 0
	case linux.MADV_WIPEONFORK:
		// Only anonymous memory; a private mapping of /dev/zero has a file.
		if v.File != nil || f&VM_SHARED != 0 {
			return f, linux.EINVAL
		}
		return f | VM_WIPEONFORK, 0
	case linux.MADV_KEEPONFORK:
		if f&VM_DROPPABLE != 0 {
			return f, linux.EINVAL
		}
		return f &^ VM_WIPEONFORK, 0
	case linux.MADV_DONTDUMP:
		return f | VM_DONTDUMP, 0
	case linux.MADV_DODUMP:
		if f&VM_HUGETLB == 0 && f&vmSpecial != 0 || f&VM_DROPPABLE != 0 {
			return f, linux.EINVAL
		}
		return f &^ VM_DONTDUMP, 0
	case linux.MADV_MERGEABLE:
		if v.canKSM() {
			f |= VM_MERGEABLE
		}
	case linux.MADV_UNMERGEABLE:
		f &^= VM_MERGEABLE
	case linux.MADV_HUGEPAGE:
		return f&^VM_NOHUGEPAGE | VM_HUGEPAGE, 0
	case linux.MADV_NOHUGEPAGE:
		return f&^VM_HUGEPAGE | VM_NOHUGEPAGE, 0
	}
	return f, 0
}

// mayDiscard reports whether sealing allows the advice: of sealed anonymous memory that cannot be
// written, nothing may be thrown away (can_madvise_modify).
func (m *MemoryManager) mayDiscard(v *VMA, advice int) bool {
	if !v.isSealed() {
		return true
	}
	switch advice {
	case linux.MADV_FREE, linux.MADV_DONTNEED, linux.MADV_DONTNEED_LOCKED, linux.MADV_REMOVE,
		linux.MADV_DONTFORK, linux.MADV_WIPEONFORK, linux.MADV_GUARD_INSTALL:
		return !v.isAnonymous() || v.Flags&VM_WRITE != 0
	}
	return true
}

// madviseRemove mirrors madvise_remove: what punching a hole into the file answers is known of
// shared anonymous memory only.
func madviseRemove(v *VMA) Result {
	const sharedMayWrite = VM_SHARED | VM_MAYWRITE
	switch {
	case v.Flags&VM_LOCKED != 0, v.File == nil:
		return failed(linux.EINVAL)
	case v.Flags&sharedMayWrite != sharedMayWrite:
		return failed(linux.EACCES)
	case v.File.Kind == Shmem && v.File.Seals == 0 || v.File.Kind == SysV:
		return succeeded(0)
	}
	return Result{Unsure: true}
}

// madviseDontNeed mirrors madvise_dontneed_free.
func madviseDontNeed(v *VMA, lo, hi uint64, advice int) Result {
	if v.Flags&VM_HUGETLB != 0 {
		size := uint64(hostarch.HugePageSize)
		if v.File != nil && v.File.HugeSize != 0 {
			size = v.File.HugeSize
		}
		return refuseIf(advice == linux.MADV_FREE || lo&(size-1) != 0)
	}
	forbidden := VM_PFNMAP
	if advice != linux.MADV_DONTNEED_LOCKED {
		forbidden |= VM_LOCKED
	}
	if v.Flags&forbidden != 0 {
		return failed(linux.EINVAL)
	}
	return refuseIf(advice == linux.MADV_FREE && !v.isAnonymous())
}

// madviseCollapse leaves to the host whether pages can be collapsed; madvise_collapse refuses
// VMAs that never have huge pages.
func madviseCollapse(v *VMA) Result {
	if v.Flags&(VM_NOHUGEPAGE|VM_HUGETLB|vmSpecial) != 0 {
		return failed(linux.EINVAL)
	}
	return Result{Unsure: true}
}

// madvisePopulate faults pages in (madvise_populate, faultin_page_range). Unlike with the other
// advices, a hole stops it. Files may end early, and guard pages fault, so that both are the
// host's to answer.
func (m *MemoryManager) madvisePopulate(start, end uint64, write bool) Result {
	stop, errno, unsure := m.populatable(start, end, write)
	if unsure {
		return Result{Unsure: true}
	}
	m.populateAdvised(start, stop, write)
	return Result{Errno: errno, Partial: errno != 0 && stop > start}
}

// populatable returns where populating stops, and why.
func (m *MemoryManager) populatable(start, end uint64, write bool) (stop uint64, errno linux.Errno, unsure bool) {
	need := VM_READ
	if write {
		need = VM_WRITE
	}
	for start < end {
		seg, ok := m.vmas.At(start)
		v := &seg.Value
		switch {
		case !ok:
			return start, linux.ENOMEM, unsure
		case v.Flags&(VM_IO|VM_PFNMAP) != 0, v.Flags&need == 0:
			return start, linux.EINVAL, unsure
		case v.special() != "", m.guardsUnknown(v), v.Flags&vmPkeyMask != 0, m.isOrphan(v):
			unsure = true
		case !v.isAnonymous() && (v.File.Size == 0 || v.File.Kind == Hugetlb):
			unsure = true
		}
		hi := min(seg.End, end)
		if at, ok := m.firstGuard(start, hi); ok {
			return at, linux.EFAULT, unsure
		}
		if !m.isOrphan(v) && pastEnd(seg, hi) {
			return hi, linux.EFAULT, unsure
		}
		start = seg.End
	}
	return end, 0, unsure
}

// populateAdvised records what MADV_POPULATE_* faulted in.
func (m *MemoryManager) populateAdvised(start, end uint64, write bool) {
	for m.untouched && start < end {
		seg, _ := m.vmas.At(start)
		m.faultIn(seg, write)
		start = seg.End
	}
}

// AdoptMAdvise records that the host followed an advice of which the manager was Unsure.
func (m *MemoryManager) AdoptMAdvise(c *Caller, addr hostarch.Addr, length uint64, advice int) {
	if advice == linux.MADV_POPULATE_READ || advice == linux.MADV_POPULATE_WRITE {
		write := advice == linux.MADV_POPULATE_WRITE
		start := uint64(addr)
		stop, _, _ := m.populatable(start, start+hostarch.PageAlign(length), write)
		m.populateAdvised(start, stop, write)
	}
}
