package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// FaultResult is what an access to memory comes to: nothing to speak of, or a signal.
type FaultResult struct {
	Signal, Code int             // linux.SIGSEGV or SIGBUS and its si_code; both 0 when the access succeeds
	Refusal      *limits.Refusal // the limit that kept a stack from growing
	// Unsure: whether the page is a guard page, or can be had at all, is not known. How the stack
	// grew is; AdoptFault then takes over the rest.
	Unsure bool
}

var (
	segvUnmapped = FaultResult{Signal: linux.SIGSEGV, Code: linux.SEGV_MAPERR}
	segvAccess   = FaultResult{Signal: linux.SIGSEGV, Code: linux.SEGV_ACCERR}
	segvKernel   = FaultResult{Signal: linux.SIGSEGV, Code: linux.SI_KERNEL} // a general protection fault
	busAddress   = FaultResult{Signal: linux.SIGBUS, Code: linux.BUS_ADRERR}
)

// Fault is the program's reading or writing a byte at addr (do_user_addr_fault, handle_mm_fault). A
// stack grows down to it; private memory gets an anon_vma, when AssumeUntouched was called: from
// then on all accesses come this way.
func (m *MemoryManager) Fault(c *Caller, addr hostarch.Addr, write bool) FaultResult {
	const canonical = uint64(1) << 47 // the same bit fills those above it
	switch at := uint64(addr); {
	case at >= canonical && at < ^canonical+1:
		return segvKernel
	case at >= uint64(m.cfg.TaskSize):
		return segvUnmapped
	}
	page := uint64(addr.RoundDown())
	seg, ok := m.vmas.Find(page)
	if !ok {
		return segvUnmapped
	}
	if seg.Start > page {
		if why, grown := m.growStack(c, seg, page); !grown {
			res := segvUnmapped
			res.Refusal = why
			return res
		}
		seg, _ = m.vmas.At(page)
	}
	need := vmAccess
	if write {
		need = VM_WRITE
	}
	if seg.Value.Flags&need == 0 { // access_error
		return segvAccess
	}
	res := m.faultAnswer(&seg, page)
	if res == (FaultResult{}) || res == busAddress && write {
		m.faultIn(seg, write) // a page to copy to is had before the file's is looked for (do_cow_fault)
	}
	return res
}

// AdoptFault records what the host answered to a Fault that was Unsure.
func (m *MemoryManager) AdoptFault(addr hostarch.Addr, write bool, signal int) {
	if seg, ok := m.vmas.At(uint64(addr)); ok && signal == 0 {
		m.faultIn(seg, write)
	}
}

// faultAnswer is what becomes of a permitted access to a page of seg.
func (m *MemoryManager) faultAnswer(seg *segment.Segment[VMA], page uint64) FaultResult {
	switch v := &seg.Value; {
	case m.isGuarded(page, page+hostarch.PageSize):
		return segvUnmapped
	case m.guardsUnknown(v), v.Flags&vmPkeyMask != 0, m.isOrphan(v), v.special() != "":
		return FaultResult{Unsure: true}
	case v.isAnonymous():
	case v.File.Size == 0 || v.File.Kind == Hugetlb:
		return FaultResult{Unsure: true}
	case pastEnd(*seg, page+hostarch.PageSize):
		return busAddress
	}
	return FaultResult{}
}

// growStack makes the stack seg reach down to page, unless what lies below or a limit forbids it
// (expand_stack_locked, expand_downwards, acct_stack_growth):
//
//	   prev                  page          start
//	[--------) guard gap ->   |  - - - - - [== stack ==)
func (m *MemoryManager) growStack(c *Caller, seg segment.Segment[VMA], page uint64) (why *limits.Refusal, grown bool) {
	if seg.Value.Flags&VM_GROWSDOWN == 0 || page < uint64(m.cfg.MmapMinAddr) {
		return nil, false
	}
	prev, ok := m.vmas.Prev(seg.Start)
	if ok && prev.Value.Flags&VM_GROWSDOWN == 0 && prev.Value.Flags&vmAccess != 0 && page-prev.End < m.cfg.StackGuardGap {
		return nil, false
	}
	m.prepareAnon(seg) // before the limits are looked at
	seg, _ = m.vmas.At(seg.Start)
	size, grow := seg.End-page, hostarch.Pages(seg.Start-page)
	if grow > seg.Value.PgOff {
		return nil, false
	}
	if why := m.mayExpandVM(c, seg.Value.Flags, grow); why != nil {
		return why, false
	}
	if size > c.Limits.Stack {
		used := hostarch.Pages(seg.End - seg.Start)
		return refusal(limits.Stack, used, grow, c.Limits.Stack), false
	}
	if why := m.mlockFutureOK(c, seg.Value.Flags, grow<<hostarch.PageShift); why != nil {
		return why, false
	}
	if why := m.enoughMemory(grow); why != nil {
		return why, false
	}
	m.ExpandStack(hostarch.Addr(seg.Start), hostarch.Addr(page))
	return nil, true
}
