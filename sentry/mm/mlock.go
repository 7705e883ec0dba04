package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// vmLockedMask are the flags that locking sets (VM_LOCKED_MASK).
const vmLockedMask = VM_LOCKED | VM_LOCKONFAULT

// canLock reports whether the VMA is memory that can be locked; what is not is passed over without
// an error.
func (v *VMA) canLock() bool {
	return v.Flags&(vmSpecial|VM_HUGETLB|VM_DROPPABLE) == 0 && (v.File == nil || !v.File.DAX)
}

// alwaysLocked reports whether the VMA is secret memory, which is locked and stays so.
func (v *VMA) alwaysLocked() bool { return v.File != nil && v.File.MapFlags&VM_LOCKED != 0 }

// MLock locks [addr, addr+length), rounded outwards to whole pages (do_mlock): mlock with flags
// 0, mlock2 with MLOCK_ONFAULT. A failure behind the limits leaves the VMAs locked that came
// before it, which Result.Partial says.
//
// Whether the pages of a file can be had is not known, so locking mapped files is Unsure, unless
// on fault; AdoptMLock then locks.
//
// Errnos: EINVAL (flags, or the range wraps), EPERM (nothing may be locked at all), ENOMEM
// (RLIMIT_MEMLOCK, a hole, memory that cannot be accessed, vm.max_map_count).
func (m *MemoryManager) MLock(c *Caller, addr hostarch.Addr, length uint64, flags uint64) Result {
	return m.mlock(c, addr, length, flags, false)
}

// AdoptMLock locks as MLock does when the host answered what the manager was Unsure of: with
// success, or with ENOMEM because pages could not be had, for which nothing is unlocked again. An
// errno in the Result is for another reason, and certain.
func (m *MemoryManager) AdoptMLock(c *Caller, addr hostarch.Addr, length uint64, flags uint64) Result {
	return m.mlock(c, addr, length, flags, true)
}

func (m *MemoryManager) mlock(c *Caller, addr hostarch.Addr, length, flags uint64, adopt bool) Result {
	if flags&^linux.MLOCK_ONFAULT != 0 {
		return failed(linux.EINVAL)
	}
	add := VM_LOCKED
	if flags&linux.MLOCK_ONFAULT != 0 {
		add |= VM_LOCKONFAULT
	}
	length = hostarch.PageAlign(length + addr.PageOffset())
	start := uint64(addr.RoundDown())
	if !c.canMlock() {
		return refused(memlockRefusal(c, 0, length, linux.EPERM))
	}
	locked, limit := m.totals.LockedVM+hostarch.Pages(length), hostarch.Pages(c.Limits.MemLock)
	if locked > limit && !c.Creds.IPCLock {
		// What is locked already does not count twice.
		locked -= m.lockedIn(start, length)
		if locked > limit {
			return refused(memlockRefusal(c, m.totals.LockedVM<<hostarch.PageShift, length, linux.ENOMEM))
		}
	}
	end := start + length
	if end < start {
		return failed(linux.EINVAL)
	}
	var errno linux.Errno
	if end != start {
		var unsure bool
		if errno, unsure = m.canPopulate(start, end, add); unsure && !adopt {
			return Result{Unsure: true}
		}
	}
	if res := m.lockRange(start, end, add); res.Errno != 0 {
		return res
	}
	m.populate(start, end)
	if errno != 0 {
		return Result{Errno: linux.ENOMEM, Partial: true} // __mlock_posix_error_return
	}
	return succeeded(0)
}

// memlockRefusal describes RLIMIT_MEMLOCK; used and wanted are bytes.
func memlockRefusal(c *Caller, used, wanted uint64, errno linux.Errno) *limits.Refusal {
	return &limits.Refusal{Resource: limits.MemLock, Used: used, Wanted: wanted, Limit: c.Limits.MemLock, Errno: errno}
}

// lockedIn returns how many pages from start on are locked (count_mm_mlocked_page_nr). A range
// that wraps reaches to the end.
func (m *MemoryManager) lockedIn(start, length uint64) uint64 {
	end := start + length
	if end < start {
		end = ^uint64(0)
	}
	var n uint64
	for seg, ok := m.vmas.Find(start); ok && seg.Start < end; seg, ok = m.vmas.Find(seg.End) {
		if seg.Value.Flags&VM_LOCKED != 0 {
			n += min(seg.End, end) - max(seg.Start, start)
		}
	}
	return hostarch.Pages(n)
}

// MUnlock unlocks [addr, addr+length), rounded outwards to whole pages (sys_munlock).
//
// Errnos: EINVAL (the range wraps), ENOMEM (a hole, vm.max_map_count).
func (m *MemoryManager) MUnlock(c *Caller, addr hostarch.Addr, length uint64) Result {
	length = hostarch.PageAlign(length + addr.PageOffset())
	start := uint64(addr.RoundDown())
	end := start + length
	if end < start {
		return failed(linux.EINVAL)
	}
	return m.lockRange(start, end, 0)
}

// lockRange sets the lock flags of [start, end) to add, up to the first hole
// (apply_vma_lock_flags).
func (m *MemoryManager) lockRange(start, end uint64, add Flags) Result {
	m.ops++
	changed := false
	for start < end {
		seg, ok := m.vmas.At(start)
		if !ok {
			return Result{Errno: linux.ENOMEM, Partial: changed}
		}
		hi := min(seg.End, end)
		did, res := m.lockOne(seg, start, hi, add)
		if res.Errno != 0 {
			res.Partial = res.Partial || changed
			return res
		}
		changed = changed || did
		start = hi
	}
	return succeeded(0)
}

// lockOne sets the lock flags of the part [start, end) of one VMA to add, where it is memory that
// can be locked at all, and reports whether they changed (mlock_fixup).
func (m *MemoryManager) lockOne(seg segment.Segment[VMA], start, end uint64, add Flags) (bool, Result) {
	v := clip(seg, start, end).Value
	flags := v.Flags&^vmLockedMask | add
	if flags == v.Flags || !v.canLock() || v.alwaysLocked() {
		return false, succeeded(0)
	}
	v.Flags = flags
	res := m.modifyOne(seg, start, end, v)
	return res.Errno == 0, res
}

// MLockAll locks what is mapped (MCL_CURRENT), what will be (MCL_FUTURE), or both (sys_mlockall).
//
// Errnos: EINVAL (flags), EPERM (nothing may be locked), ENOMEM (RLIMIT_MEMLOCK).
func (m *MemoryManager) MLockAll(c *Caller, flags uint64) Result {
	const known = linux.MCL_CURRENT | linux.MCL_FUTURE | linux.MCL_ONFAULT
	if flags == 0 || flags&^known != 0 || flags == linux.MCL_ONFAULT {
		return failed(linux.EINVAL)
	}
	if !c.canMlock() {
		return refused(memlockRefusal(c, 0, 0, linux.EPERM))
	}
	current := flags&linux.MCL_CURRENT != 0
	if current && m.totals.TotalVM > hostarch.Pages(c.Limits.MemLock) && !c.Creds.IPCLock {
		return refused(memlockRefusal(c, m.totals.LockedVM<<hostarch.PageShift,
			m.totals.TotalVM<<hostarch.PageShift, linux.ENOMEM))
	}
	m.lockAll(flags)
	if current {
		m.populateRange(0, uint64(m.cfg.TaskSize), true)
	}
	return succeeded(0)
}

// MUnlockAll unlocks everything, also for the future (sys_munlockall).
func (m *MemoryManager) MUnlockAll(c *Caller) Result {
	m.lockAll(0)
	return succeeded(0)
}

// lockAll mirrors apply_mlockall_flags. A VMA that refuses is passed over.
func (m *MemoryManager) lockAll(flags uint64) {
	m.ops++
	add := VM_LOCKED
	if flags&linux.MCL_ONFAULT != 0 {
		add |= VM_LOCKONFAULT
	}
	m.defFlags &^= vmLockedMask
	if flags&linux.MCL_FUTURE != 0 {
		m.defFlags |= add
		if flags&linux.MCL_CURRENT == 0 {
			return
		}
	}
	if flags&linux.MCL_CURRENT == 0 {
		add = 0
	}
	for seg, ok := m.vmas.First(); ok; {
		end := seg.End
		if add != 0 || seg.Value.Flags&vmLockedMask != 0 {
			m.lockOne(seg, seg.Start, seg.End, add)
		}
		seg, ok = m.vmas.Find(end)
		if ok && seg.Start < end {
			seg.Start = max(seg.Start, end) // it became one with what was done already
		}
	}
}
