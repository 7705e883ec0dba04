package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// ExpandStack records that the stack that starts at start grew down to newStart by page faults
// (expand_downwards). The kernel has checked the limits and granted it; an unknown start or a
// VMA that does not grow is ignored.
func (m *MemoryManager) ExpandStack(start hostarch.Addr, newStart hostarch.Addr) {
	seg, ok := m.vmas.At(uint64(start))
	if !ok || seg.Start != uint64(start) || newStart >= start || seg.Value.Flags&VM_GROWSDOWN == 0 {
		return
	}
	if prev, ok := m.vmas.Prev(seg.Start); ok && prev.End >= uint64(newStart) {
		if prev.End > uint64(newStart) {
			return
		}
		m.loose = true // a fault merges nothing
	}
	grow := hostarch.Pages(seg.Start - uint64(newStart))
	seg.Value.PgOff -= grow
	m.account(seg.Value.Flags, grow)
	m.vmas.Update(seg.Start, uint64(newStart), seg.End, seg.Value)
}

// StackRoom returns how many pages the stacks may still grow by page faults while RLIMIT_STACK is limit
// bytes (acct_stack_growth), whatever lies below them now. A stack that begins where another mapping
// ends does not grow.
func (m *MemoryManager) StackRoom(limit uint64) (pages uint64) {
	m.eachStack(func(seg segment.Segment[VMA]) {
		if size := seg.End - seg.Start; size < limit {
			pages += hostarch.Pages(min(limit, seg.End) - size)
		}
	})
	return pages
}

// LargestStack returns the size of the largest mapping that grows, in bytes, and how many there are.
func (m *MemoryManager) LargestStack() (size uint64, n int) {
	m.eachStack(func(seg segment.Segment[VMA]) {
		size = max(size, seg.End-seg.Start)
		n++
	})
	return size, n
}

// eachStack calls f with each mapping that may grow.
func (m *MemoryManager) eachStack(f func(segment.Segment[VMA])) {
	var below uint64 // where the mapping below ends
	visit := func(seg segment.Segment[VMA]) {
		if seg.Value.Flags&VM_GROWSDOWN != 0 && seg.Start != below {
			f(seg)
		}
		below = seg.End
	}
	top, ok := m.vmas.Last()
	if ok && top.Value.Flags&VM_GROWSDOWN != 0 && hostarch.Pages(top.End-top.Start) == m.totals.StackVM {
		if prev, ok := m.vmas.Prev(top.Start); ok {
			below = prev.End
		}
		visit(top)
		return
	}
	if m.totals.StackVM == 0 {
		return
	}
	for seg := range m.vmas.All() {
		visit(seg)
	}
}

// NeedsStack reports whether what an operation on r answers could depend on how far a stack has
// grown by page faults, which are not seen: r touches a stack or what it may grow into, or the
// growth that is still to come may have used up a limit. The caller then looks at the host's
// list first and tells ExpandStack.
//
//	   r               limit        start      end
//	[-----)              |- - - - - [== stack ==)
//	       near, if this <- guard ->|
func (m *MemoryManager) NeedsStack(r hostarch.AddrRange, c *Caller) bool {
	seg, ok := m.vmas.Find(uint64(r.Start))
	for ok && seg.Start < uint64(r.End) {
		if seg.Value.Flags&VM_GROWSDOWN != 0 {
			return true
		}
		seg, ok = m.vmas.Find(seg.End)
	}
	if ok && seg.Value.Flags&VM_GROWSDOWN != 0 && m.lowestStart(seg.Start, seg.End, c) < uint64(r.End) {
		return true
	}
	return m.nearLimit(r, c)
}

// StackMayReach reports whether the next VMA above end, where something was just placed, is a stack
// that may have grown to where its guard gap comes below end without being seen: then the host may
// have found no room there.
//
//	  placed          limit     start      end
//	[--------)          |- - - -[== stack ==)
//	        end <-guard->
func (m *MemoryManager) StackMayReach(end hostarch.Addr, c *Caller) bool {
	seg, ok := m.vmas.Find(uint64(end))
	return ok && seg.Start >= uint64(end) && seg.Value.Flags&VM_GROWSDOWN != 0 &&
		m.furthest(seg.End, uint64(m.cfg.MmapMinAddr), c) < uint64(end)
}

// StackAbove reports whether nothing is mapped at addr, and the next mapping above is a stack, which a
// fault at addr would make grow.
func (m *MemoryManager) StackAbove(addr hostarch.Addr) bool {
	seg, ok := m.vmas.Find(uint64(addr))
	return ok && seg.Start > uint64(addr) && seg.Value.Flags&VM_GROWSDOWN != 0
}

// lowestStart returns how low the guard gap of a stack [start, end) may have come.
func (m *MemoryManager) lowestStart(start, end uint64, c *Caller) uint64 {
	low := uint64(m.cfg.MmapMinAddr)
	if prev, ok := m.vmas.Prev(start); ok {
		low = prev.End
	}
	return m.furthest(end, low, c)
}

// furthest returns how low RLIMIT_STACK lets the guard gap of a stack that ends at end come, above low.
func (m *MemoryManager) furthest(end, low uint64, c *Caller) uint64 {
	if reach := c.Limits.Stack + m.cfg.StackGuardGap; reach >= c.Limits.Stack && reach < end-low {
		return end - reach
	}
	return low
}

// nearLimit reports whether the growth of stacks, together with an operation as long as r, could
// exceed RLIMIT_AS, or RLIMIT_MEMLOCK where the stack is locked.
func (m *MemoryManager) nearLimit(r hostarch.AddrRange, c *Caller) bool {
	if c.Limits.AS == linux.RLIM_INFINITY && (m.totals.LockedVM == 0 || c.Limits.MemLock == linux.RLIM_INFINITY) {
		return false
	}
	top, ok := m.vmas.Last()
	if !ok || top.Value.Flags&VM_GROWSDOWN == 0 || hostarch.Pages(top.End-top.Start) != m.totals.StackVM {
		return m.totals.StackVM != 0 // one that is elsewhere, or several
	}
	grow := hostarch.Pages(top.End - m.lowestStart(top.Start, top.End, c))
	more := grow + hostarch.Pages(r.Length())
	if m.totals.TotalVM+more > hostarch.Pages(c.Limits.AS) {
		return true
	}
	return top.Value.Flags&VM_LOCKED != 0 && m.totals.LockedVM+more > hostarch.Pages(c.Limits.MemLock)
}
