package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/segment"
)

// Fork returns the address space of a forked child (dup_mm, dup_mmap): VM_DONTCOPY VMAs are not
// in it, nothing in it is locked, and of the defaults for new VMAs only VM_NOHUGEPAGE lasts.
//
// It takes constant time, unless there are VMAs to drop or to unlock, or AssumeUntouched keeps account
// of faults. Whether the child's
// charges can be had is for the caller to decide, from its Totals.
func (m *MemoryManager) Fork() *MemoryManager {
	n := new(MemoryManager)
	*n = *m
	n.vmas = m.vmas.Clone()
	n.inherit(m)
	n.totals.LockedVM -= n.lockedLeak
	n.lockedLeak = 0
	n.aioRings = nil
	if n.dontCopy != 0 || n.totals.LockedVM != 0 {
		n.dropUncopied()
	}
	if n.untouched {
		n.forkGuards()
		n.forkAnon()
	} else {
		at := n.vmas.Clone()
		n.atFork, n.forkedAt = &at, n.ops
	}
	n.ops++
	n.resetLegacy(anyHole)
	return n
}

// forkGuards drops the guard pages of memory that is wiped or gone; VM_MAYBE_GUARD makes the others be
// copied (vma_needs_copy).
func (m *MemoryManager) forkGuards() {
	for _, g := range m.guards {
		start := uint64(g.Start)
		for start < uint64(g.End) {
			seg, ok := m.vmas.Find(start)
			if !ok || seg.Start >= uint64(g.End) {
				m.setGuards(start, uint64(g.End), false)
				break
			}
			if seg.Value.Flags&VM_WIPEONFORK != 0 {
				m.setGuards(max(seg.Start, start), min(seg.End, uint64(g.End)), false)
			}
			start = seg.End
		}
	}
}

// forkAnon gives each VMA that has an anon_vma one of its own, which hangs on its parent's
// (anon_vma_fork). VM_WIPEONFORK memory starts anew.
func (m *MemoryManager) forkAnon() {
	var change []segment.Segment[VMA]
	for seg := range m.vmas.All() {
		if seg.Value.Anon.ID != 0 {
			change = append(change, seg)
		}
	}
	for _, seg := range change {
		v := &seg.Value
		v.Anon.ID, v.Anon.Forked = 0, false
		if v.Flags&VM_WIPEONFORK == 0 {
			m.anonIDs++
			v.Anon.ID, v.Anon.Forked = m.anonIDs, true
		}
		m.vmas.Update(seg.Start, seg.Start, seg.End, seg.Value)
	}
	m.loose = true // a fork merges nothing
}

// inherit sets what a new mm_struct takes over from the old one (mm_init).
func (m *MemoryManager) inherit(old *MemoryManager) {
	m.defFlags = old.defFlags & VM_NOHUGEPAGE // VM_INIT_DEF_MASK
	m.mergeAny = old.mergeAny
	m.mdwe, m.mdweNoInherit = old.mdwe, false
	if old.mdweNoInherit {
		m.mdwe = false
	}
}

// dropUncopied removes the VMAs that a fork does not copy and unlocks the others. Neighbours that
// become alike stay apart, as they do in the kernel.
func (m *MemoryManager) dropUncopied() {
	var drop, unlock []segment.Segment[VMA]
	for seg := range m.vmas.All() {
		switch {
		case seg.Value.Flags&VM_DONTCOPY != 0:
			drop = append(drop, seg)
		case seg.Value.Flags&(VM_LOCKED|VM_LOCKONFAULT) != 0:
			unlock = append(unlock, seg)
		}
	}
	for _, seg := range drop {
		m.unlink(seg.Start)
		m.unaccount(seg.Value.Flags, hostarch.Pages(seg.End-seg.Start))
	}
	for _, seg := range unlock {
		pages := hostarch.Pages(seg.End - seg.Start)
		m.unaccount(seg.Value.Flags, pages)
		if v := &seg.Value; !m.untouched && v.isAnonymous() && v.Flags&vmAccess != 0 && v.Anon.ID == 0 {
			// Its pages were all there, so it had an anon_vma, and the copy has one of its own.
			m.anonIDs++
			v.Anon.ID, v.Anon.Forked = m.anonIDs, true
		}
		seg.Value.Flags &^= VM_LOCKED | VM_LOCKONFAULT
		m.account(seg.Value.Flags, pages)
		m.vmas.Update(seg.Start, seg.Start, seg.End, seg.Value)
		m.loose = true
	}
}
