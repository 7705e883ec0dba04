package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// AssumeUntouched makes the manager take it that from now on the program touches no private memory
// that it maps but what Fault is told of: other pages are only there where a call populated them. Then
// which VMAs have an anon_vma, and so how they merge and what mremap makes of their offsets, follows
// from the calls and faults alone. What is mapped and writable now was touched, each VMA by itself. It is for tests; of a
// real program the opposite is assumed, where it matters.
func (m *MemoryManager) AssumeUntouched() {
	m.untouched = true
	var touched []segment.Segment[VMA]
	for seg := range m.vmas.All() {
		if seg.Value.Flags&(VM_WRITE|VM_SHARED) == VM_WRITE {
			touched = append(touched, seg)
		}
	}
	for _, seg := range touched {
		m.prepareAnon(seg)
	}
}

// canPopulate predicts what faulting in [start, end) answers once it is locked so
// (populate_vma_page_range): EFAULT for memory without access; unsure for files, whose end is not
// known. Holes end the prediction: the callers find them first.
func (m *MemoryManager) canPopulate(start, end uint64, lock Flags) (errno linux.Errno, unsure bool) {
	for start < end {
		seg, ok := m.vmas.At(start)
		if !ok {
			return 0, false
		}
		v := &seg.Value
		hi := min(seg.End, end)
		switch {
		case v.Flags&(VM_IO|VM_PFNMAP) != 0:
		case lock&VM_LOCKONFAULT != 0 && v.canLock(): // later
		case v.Flags&vmAccess == 0:
			return linux.EFAULT, false // before or after this, the answer is the same
		case m.isGuarded(start, hi):
			return linux.EFAULT, false
		case m.guardsUnknown(v):
			unsure = true
		case v.isAnonymous():
		case m.isOrphan(v):
			unsure = true
		case v.File != nil && v.File.Size != 0 && v.File.Kind != Hugetlb:
			if pastEnd(seg, hi) {
				return linux.EFAULT, false
			}
		default:
			unsure = unsure || v.special() == ""
		}
		start = hi
	}
	return 0, unsure
}

// isOrphan reports whether the VMA is an AIO ring without a context here: a sealed one outlives it,
// and a forked process never has it. It loses its pages some time after the context is gone.
func (m *MemoryManager) isOrphan(v *VMA) bool {
	return v.File != nil && v.File.Kind == Ring && (v.File.UnsureIdentity || !m.ownsRing(v.File))
}

// pastEnd reports whether the file of a VMA is known to end before the address hi, so that touching
// the last page is a SIGBUS.
func pastEnd(seg segment.Segment[VMA], hi uint64) bool {
	v := &seg.Value
	if v.File == nil || v.File.Size == 0 || v.isAnonymous() {
		return false
	}
	return v.PgOff+hostarch.Pages(hi-seg.Start) > hostarch.Pages(hostarch.PageAlign(v.File.Size))
}

// populate records that the pages of [start, end) were faulted in, up to the first VMA without
// access. Private memory gets an anon_vma by that: anonymous memory by any fault, that of a file by
// writing. Only AssumeUntouched makes that worth knowing.
func (m *MemoryManager) populate(start, end uint64) { m.populateRange(start, end, false) }

// populateRange is populate; force passes over what cannot be accessed (__mm_populate with
// ignore_errors).
func (m *MemoryManager) populateRange(start, end uint64, force bool) {
	if !m.untouched {
		return
	}
	for start < end {
		seg, ok := m.vmas.Find(start)
		if !ok || seg.Start >= end {
			return
		}
		lo, hi := max(seg.Start, start), min(seg.End, end)
		start = seg.End
		switch f := seg.Value.Flags; {
		case f&(VM_IO|VM_PFNMAP|VM_LOCKONFAULT) != 0:
		case f&vmAccess != 0:
			guard, guarded := m.firstGuard(lo, hi)
			if !guarded || guard != lo {
				m.faultIn(seg, f&VM_WRITE != 0)
			}
			if (guarded || pastEnd(seg, hi)) && !force {
				return // EFAULT
			}
		case !force:
			return // EFAULT
		}
	}
}

// faultIn records that a VMA was read or written.
func (m *MemoryManager) faultIn(seg segment.Segment[VMA], write bool) {
	if v := &seg.Value; v.isAnonymous() || write && v.Flags&VM_SHARED == 0 {
		m.prepareAnon(seg)
	}
}

// prepareAnon gives a VMA an anon_vma: that of a neighbour with which it may merge one day, else
// one of its own (__anon_vma_prepare, find_mergeable_anon_vma).
func (m *MemoryManager) prepareAnon(seg segment.Segment[VMA]) {
	if !m.untouched || seg.Value.Anon.ID != 0 {
		return
	}
	prev, next, hasPrev, hasNext := m.neighbours(seg.Start, seg.End)
	switch {
	case hasNext && next.Value.Anon.ID != 0 && !next.Value.Anon.Forked && anonReusable(seg, next):
		seg.Value.Anon.ID = next.Value.Anon.ID
	case hasPrev && prev.Value.Anon.ID != 0 && !prev.Value.Anon.Forked && anonReusable(prev, seg):
		seg.Value.Anon.ID = prev.Value.Anon.ID
	default:
		m.anonIDs++
		seg.Value.Anon.ID = m.anonIDs
	}
	m.vmas.Update(seg.Start, seg.Start, seg.End, seg.Value)
}

// anonReusable mirrors anon_vma_compatible: b starts where a ends, and only the protection
// differs.
func anonReusable(a, b segment.Segment[VMA]) bool {
	a.Value.Flags &^= vmAccess | vmSticky
	b.Value.Flags &^= vmAccess | vmSticky
	a.Value.Anon, b.Value.Anon = AnonVMA{}, AnonVMA{}
	return a.Value.Flags == b.Value.Flags && a.Value.File == b.Value.File && policyOf(&a.Value) == policyOf(&b.Value) &&
		a.Value.PgOff+hostarch.Pages(a.End-a.Start) == b.Value.PgOff
}

// policyOf returns the identity of the VMA's NUMA policy.
func policyOf(v *VMA) uint64 {
	if v.Rare == nil {
		return 0
	}
	return v.Rare.Policy
}
