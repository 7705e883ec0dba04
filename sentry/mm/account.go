package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// isExec, isStack and isData mirror is_exec_mapping, is_stack_mapping and is_data_mapping. A VMA
// counts as the first of them that holds.
func isExec(f Flags) bool  { return f&(VM_EXEC|VM_WRITE|VM_GROWSDOWN) == VM_EXEC }
func isStack(f Flags) bool { return f&(VM_GROWSDOWN|VM_SHADOW_STACK) != 0 }
func isData(f Flags) bool  { return f&(VM_WRITE|VM_SHARED|VM_GROWSDOWN) == VM_WRITE }

// account adds pages of a VMA with these flags to the totals (vm_stat_account and the other
// counters). A negative number of pages, in two's complement, takes them off.
func (m *MemoryManager) account(f Flags, pages uint64) {
	t := &m.totals
	t.TotalVM += pages
	switch {
	case isExec(f):
		t.ExecVM += pages
	case isStack(f):
		t.StackVM += pages
	case isData(f):
		t.DataVM += pages
	}
	if f&VM_LOCKED != 0 {
		t.LockedVM += pages
	}
	if f&VM_ACCOUNT != 0 {
		t.Committed += pages
	}
	switch {
	case f&VM_SHARED != 0:
		t.SharedVM += pages
	case f&VM_HUGETLB != 0:
		t.HugeVM += pages
	}
	if f&VM_DONTCOPY != 0 {
		m.dontCopy += pages
	}
}

// unaccount takes pages of a VMA with these flags off the totals.
func (m *MemoryManager) unaccount(f Flags, pages uint64) { m.account(f, -pages) }

// mayExpandVM returns the limit that forbids another pages pages with these flags: RLIMIT_AS
// over all, RLIMIT_DATA over private writable ones; nil when they may be had (may_expand_vm).
func (m *MemoryManager) mayExpandVM(c *Caller, f Flags, pages uint64) *limits.Refusal {
	if limit := c.Limits.AS; m.totals.TotalVM+pages > hostarch.Pages(limit) {
		return refusal(limits.AS, m.totals.TotalVM, pages, limit)
	}
	if !isData(f) {
		return nil
	}
	limit := c.Limits.Data
	if m.totals.DataVM+pages <= hostarch.Pages(limit) {
		return nil
	}
	if limit == 0 && m.totals.DataVM+pages <= hostarch.Pages(c.Limits.DataMax) {
		return nil // valgrind runs its client with a soft limit of 0
	}
	return refusal(limits.Data, m.totals.DataVM, pages, limit)
}

// refusal describes a limit of limit bytes of which used pages are used and wanted pages more
// were asked for.
func refusal(r limits.Resource, used, wanted, limit uint64) *limits.Refusal {
	return &limits.Refusal{
		Resource: r,
		Used:     used << hostarch.PageShift,
		Wanted:   wanted << hostarch.PageShift,
		Limit:    limit,
		Errno:    linux.ENOMEM,
	}
}

// enoughMemory returns why another pages pages may not be committed; nil when they may be had
// (security_vm_enough_memory_mm). The only thing that the host's mode 0 refuses is more at once than
// there is. It charges nothing: Totals.Committed follows the VMAs, and who guards a limit above single
// address spaces looks at that.
func (m *MemoryManager) enoughMemory(pages uint64) *limits.Refusal {
	if m.cfg.Overcommit == limits.Heuristic && m.cfg.Memory != 0 {
		o := limits.Overcommit{RAM: m.cfg.Memory}
		return o.Enough(limits.Charge{Pages: pages})
	}
	return nil
}

// accountable reports whether a mapping is charged to the address space: private, writable, not
// of huge pages, and not reserved away (accountable_mapping).
func accountable(file *File, f Flags) bool {
	if file != nil && file.Kind == Hugetlb {
		return false
	}
	return f&(VM_NORESERVE|VM_SHARED|VM_WRITE) == VM_WRITE
}

// canMlock reports whether the caller may lock anything at all (can_do_mlock).
func (c *Caller) canMlock() bool { return c.Limits.MemLock != 0 || c.Creds.IPCLock }

// Locks reports whether anything is locked, or will be: then CAP_IPC_LOCK may decide more calls
// than those that lock.
func (m *MemoryManager) Locks() bool { return m.totals.LockedVM != 0 || m.defFlags&VM_LOCKED != 0 }

// mlockFutureOK returns the refusal (EAGAIN) when length bytes more of memory that is locked,
// as the flags say, exceed RLIMIT_MEMLOCK (mlock_future_ok).
func (m *MemoryManager) mlockFutureOK(c *Caller, f Flags, length uint64) *limits.Refusal {
	if f&VM_LOCKED == 0 || c.Creds.IPCLock {
		return nil
	}
	pages, limit := hostarch.Pages(length), c.Limits.MemLock
	if pages+m.totals.LockedVM <= hostarch.Pages(limit) {
		return nil
	}
	r := refusal(limits.MemLock, m.totals.LockedVM, pages, limit)
	r.Errno = linux.EAGAIN
	return r
}

// mapCountRefusal describes the limit on the number of VMAs, which more VMAs would exceed.
func (m *MemoryManager) mapCountRefusal(more int) *limits.Refusal {
	return &limits.Refusal{
		Resource: limits.MapCount,
		Used:     uint64(m.totals.MapCount),
		Wanted:   uint64(more),
		Limit:    uint64(m.cfg.MaxMapCount),
		Errno:    linux.ENOMEM,
	}
}

// MapRefusal returns why no further VMA may be made, nil when one may (do_mmap's check of
// sysctl_max_map_count, which lets the last one be one too many).
func (m *MemoryManager) MapRefusal() *limits.Refusal {
	if m.totals.MapCount > m.cfg.MaxMapCount {
		return m.mapCountRefusal(1)
	}
	return nil
}

// SplitRefusal returns why VMAs may not be split at the ends of r, nil when they may, or need not be
// (split_vma).
func (m *MemoryManager) SplitRefusal(r hostarch.AddrRange) *limits.Refusal {
	splits := 0
	for _, addr := range [...]hostarch.Addr{r.Start, r.End} {
		if seg, ok := m.vmas.At(uint64(addr)); ok && seg.Start != uint64(addr) {
			splits++
		}
	}
	if splits > 0 && m.totals.MapCount+splits > m.cfg.MaxMapCount {
		return m.mapCountRefusal(splits)
	}
	return nil
}

// failed and refused are the two ways to say no.
func failed(e linux.Errno) Result         { return Result{Errno: e} }
func refused(r *limits.Refusal) Result    { return Result{Errno: r.Errno, Refusal: r} }
func succeeded(addr hostarch.Addr) Result { return Result{Addr: addr} }

// splitFailed is the result of a VMA that could not be split: ENOMEM stands for vm.max_map_count.
func (m *MemoryManager) splitFailed(errno linux.Errno) Result {
	if errno == linux.ENOMEM {
		return refused(m.mapCountRefusal(1))
	}
	return failed(errno)
}
