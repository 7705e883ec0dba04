package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// Brk moves the end of the heap to addr (sys_brk). Result.Addr is the new break, or the old one
// when it could not be moved; there is never an errno, but there may be a Refusal.
func (m *MemoryManager) Brk(c *Caller, addr hostarch.Addr) Result {
	if addr < m.startBrk {
		return succeeded(m.brk)
	}
	if limit := c.Limits.Data; limit != linux.RLIM_INFINITY {
		// check_data_rlimit
		data := uint64(m.endData - m.startData)
		if uint64(addr-m.startBrk)+data > limit {
			return m.brkRefused(&limits.Refusal{
				Resource: limits.Data, Used: uint64(m.brk-m.startBrk) + data,
				Wanted: uint64(addr - m.brk), Limit: limit, Errno: linux.ENOMEM,
			})
		}
	}
	newBrk, oldBrk := uint64(addr.RoundUp()), uint64(m.brk.RoundUp())
	if newBrk == oldBrk {
		m.brk = addr
		return succeeded(addr)
	}
	if addr <= m.brk {
		return m.shrinkBrk(addr, newBrk, oldBrk)
	}
	return m.growBrk(c, addr, newBrk, oldBrk)
}

// brkRefused answers the old break, and why.
func (m *MemoryManager) brkRefused(why *limits.Refusal) Result {
	return Result{Addr: m.brk, Refusal: why}
}

// shrinkBrk unmaps [newBrk, oldBrk), or leaves the break where it is when that cannot be.
func (m *MemoryManager) shrinkBrk(addr hostarch.Addr, newBrk, oldBrk uint64) Result {
	seg, ok := m.vmas.Find(newBrk)
	if !ok || seg.Start >= oldBrk {
		return succeeded(m.brk)
	}
	if errno := m.checkUnmap(newBrk, oldBrk); errno != 0 {
		res := m.unmapFailed(newBrk, oldBrk, errno)
		return m.brkRefused(res.Refusal)
	}
	m.ops++
	m.unmap(newBrk, oldBrk)
	m.brk = addr
	return succeeded(addr)
}

// growBrk maps [oldBrk, newBrk) (the second half of sys_brk, do_brk_flags).
func (m *MemoryManager) growBrk(c *Caller, addr hostarch.Addr, newBrk, oldBrk uint64) Result {
	length := newBrk - oldBrk
	q := areaRequest{hint: oldBrk, length: length, flags: linux.MAP_FIXED}
	if _, errno, why, _ := m.areaFor(c, q); errno != 0 {
		return m.brkRefused(why)
	}
	if why := m.mlockFutureOK(c, m.defFlags, length); why != nil {
		return m.brkRefused(why)
	}
	// A page stays free below whatever is above, and a stack's guard gap on top.
	if next, ok := m.vmas.Find(oldBrk); ok && next.Start < newBrk+hostarch.PageSize+m.cfg.StackGuardGap &&
		newBrk+hostarch.PageSize > m.startGap(next) {
		return m.brkRefused(m.spaceRefusal(length))
	}
	flags := VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_ACCOUNT | m.defFlags
	if c.Personality&linux.READ_IMPLIES_EXEC != 0 {
		flags |= VM_EXEC // VM_DATA_DEFAULT_FLAGS
	}
	m.ops++
	v := VMA{Flags: flags, PgOff: hostarch.Pages(oldBrk), Anon: AnonVMA{Born: m.ops}}
	if m.mergeAny && v.canKSM() {
		v.Flags |= VM_MERGEABLE
	}
	if why := m.mayExpandVM(c, v.Flags, hostarch.Pages(length)); why != nil {
		return m.brkRefused(why)
	}
	if m.totals.MapCount > m.cfg.MaxMapCount {
		return m.brkRefused(m.mapCountRefusal(1))
	}
	if why := m.enoughMemory(hostarch.Pages(length)); why != nil {
		return m.brkRefused(why)
	}
	m.extendHeap(segment.Segment[VMA]{Start: oldBrk, End: newBrk, Value: v})
	m.brk = addr
	if m.defFlags&VM_LOCKED != 0 {
		m.populateRange(oldBrk, newBrk, true)
	}
	return succeeded(addr)
}

// extendHeap adds seg to the VMA that ends at its start, if that belongs to the heap and is like
// it, and else inserts it. It does not merge with the VMA above (just_expand).
func (m *MemoryManager) extendHeap(seg segment.Segment[VMA]) {
	prev, ok := m.vmas.At(seg.Start - 1)
	if !ok || prev.End <= uint64(m.startBrk) || !m.mergeable(prev, seg) {
		m.insert(seg)
		return
	}
	prev.Value.absorb(&seg.Value)
	m.vmas.Update(prev.Start, prev.Start, seg.End, prev.Value)
	m.account(seg.Value.Flags, hostarch.Pages(seg.End-seg.Start))
}
