package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// canMerge reports whether b, which starts where a ends, differs from a in nothing that keeps
// two VMAs apart: flags, file, offsets, policy, name and known anon_vmas (is_mergeable_vma,
// can_vma_merge_after). What depends on a fork is mergeable's concern.
func canMerge(a, b segment.Segment[VMA]) bool {
	if (a.Value.Flags^b.Value.Flags)&^vmSticky != 0 || a.Value.Flags&vmSpecial != 0 {
		return false
	}
	if a.Value.File != b.Value.File || !sameRare(a.Value.Rare, b.Value.Rare) {
		return false
	}
	if a.Value.PgOff+hostarch.Pages(a.End-a.Start) != b.Value.PgOff {
		return false
	}
	return anonCompatible(a.Value.Anon, b.Value.Anon)
}

// sameRare compares what few VMAs have (mpol_equal, anon_vma_name_eq). The kernel's own
// mappings never merge.
func sameRare(a, b *Rare) bool {
	if a == b {
		return a == nil || a.Special == ""
	}
	var none Rare
	if a == nil {
		a = &none
	}
	if b == nil {
		b = &none
	}
	return *a == *b && a.Special == ""
}

// anonCompatible compares anon_vmas as far as they are known (is_mergeable_anon_vma): two
// different ones do not merge, and one whose chain came over a fork does not take in memory that
// has none.
func anonCompatible(a, b AnonVMA) bool {
	switch {
	case a.ID == b.ID:
		return true
	case a.ID == 0:
		return !b.Forked
	case b.ID == 0:
		return !a.Forked
	}
	return false
}

// mergeable is canMerge together with what a fork did to the VMAs that it copied: each one that
// had an anon_vma got another of its own, which merges with nothing but its own pieces.
func (m *MemoryManager) mergeable(a, b segment.Segment[VMA]) bool {
	if !canMerge(a, b) {
		return false
	}
	if m.forkedAt == 0 {
		return true
	}
	fa, fb := m.forkedAnon(&a.Value), m.forkedAnon(&b.Value)
	if !fa || !fb {
		return fa == fb
	}
	return m.sameAtFork(a, b)
}

// forkedAnon reports whether the VMA, as far as can be told, has an anon_vma that came over the
// fork: it was there at the fork, and was private and writable at some time before, so that it
// is likely to have been written.
func (m *MemoryManager) forkedAnon(v *VMA) bool {
	return v.Anon.Born <= m.forkedAt && v.Flags&(VM_SHARED|VM_WIPEONFORK) == 0 &&
		v.Flags&(VM_ACCOUNT|VM_WRITE) != 0
}

// sameAtFork reports whether two neighbours were one VMA at the fork.
func (m *MemoryManager) sameAtFork(a, b segment.Segment[VMA]) bool {
	at := a.Start
	if a.Value.isAnonymous() {
		// Their offset is the address at which they were mapped, wherever mremap took them.
		at = a.Value.PgOff << hostarch.PageShift
	}
	seg, ok := m.atFork.At(at)
	return ok && at+(b.Start-a.Start) < seg.End
}

// vmSticky are the flags that keep no VMAs apart, and that what they become together has when one
// of them had it (VM_STICKY, VM_IGNORE_MERGE).
const vmSticky = VM_SOFTDIRTY | VM_MAYBE_GUARD

// absorb makes v what it becomes together with its equal o.
func (v *VMA) absorb(o *VMA) {
	v.Flags |= o.Flags & vmSticky
	v.Anon = mergedAnon(v.Anon, o.Anon)
}

// mergedAnon is the anon_vma of a VMA made of two.
func mergedAnon(a, b AnonVMA) AnonVMA {
	r := AnonVMA{ID: a.ID, Forked: a.Forked || b.Forked, Born: min(a.Born, b.Born)}
	if r.ID == 0 {
		r.ID = b.ID
	}
	return r
}

// neighbours returns the VMAs that end at start and begin at end.
func (m *MemoryManager) neighbours(start, end uint64) (prev, next segment.Segment[VMA], hasPrev, hasNext bool) {
	if start != 0 {
		prev, hasPrev = m.vmas.At(start - 1)
	}
	next, hasNext = m.vmas.At(end)
	return prev, next, hasPrev, hasNext
}

// insertMerged puts a new VMA into the free range [seg.Start, seg.End), merging it with its
// neighbours, and counts it (vma_merge_new_range):
//
//	  new            new            new            new
//	[-----)        [-----)        [-----)        [-----)
//	[p)   [n)      [p)   [x)      [x)   [n)      [x)   [x)
//	[--- p ----)   [-- p --)         [-- n --)      [new)
//
// It returns the VMA that now holds the range.
func (m *MemoryManager) insertMerged(seg segment.Segment[VMA]) segment.Segment[VMA] {
	m.account(seg.Value.Flags, hostarch.Pages(seg.End-seg.Start))
	if seg.Value.Flags&vmSpecial != 0 {
		m.link(seg)
		return seg
	}
	prev, next, left, right := m.neighbours(seg.Start, seg.End)
	left = left && m.mergeable(prev, seg)
	right = right && m.mergeable(seg, next)
	if left && right && (!m.anonTogether(prev, next) || hasClose(&next.Value)) {
		right = false
	}
	switch {
	case left:
		seg.Start, seg.Value.PgOff = prev.Start, prev.Value.PgOff
		seg.Value.Anon = mergedAnon(prev.Value.Anon, seg.Value.Anon)
		seg.Value.Flags |= prev.Value.Flags & vmSticky
		if right {
			seg.End = next.End
			seg.Value.absorb(&next.Value)
			m.unlink(next.Start)
		}
		m.vmas.Update(prev.Start, seg.Start, seg.End, seg.Value)
	case right:
		seg.End = next.End
		seg.Value.absorb(&next.Value)
		m.vmas.Update(next.Start, seg.Start, seg.End, seg.Value)
	default:
		m.link(seg)
	}
	return seg
}

// anonTogether reports whether what lies left and right of a range may become one VMA with it:
// each being compatible with the range does not make them compatible with each other
// (can_vma_merge_right).
func (m *MemoryManager) anonTogether(prev, next segment.Segment[VMA]) bool {
	a, b := prev.Value.Anon, next.Value.Anon
	if a.ID != 0 && b.ID != 0 && a.ID != b.ID {
		return false
	}
	if m.forkedAt != 0 && m.forkedAnon(&prev.Value) && m.forkedAnon(&next.Value) {
		return m.sameAtFork(prev, next)
	}
	return true
}

// mergeBoundary merges the two VMAs that meet at addr, if they can be.
func (m *MemoryManager) mergeBoundary(addr uint64) {
	prev, next, ok := m.boundary(addr)
	if ok && m.mergeable(prev, next) {
		m.join(prev, next)
	}
}

// mergeExtension merges a VMA that was lengthened to addr with the one that it meets there
// (vma_merge_extend). Unlike elsewhere, one whose anon_vma came over a fork takes in memory that has none.
// It reports whether it cannot be told if that has one.
func (m *MemoryManager) mergeExtension(addr uint64) (guess bool) {
	prev, next, ok := m.boundary(addr)
	switch {
	case !ok:
	case m.mergeable(prev, next):
		m.join(prev, next)
	case next.Value.Anon.ID == 0:
		mine := prev
		mine.Value.Anon.Forked = false
		if !canMerge(mine, next) || m.forkedAt != 0 && m.forkedAnon(&next.Value) {
			break
		}
		if !m.untouched {
			return true
		}
		m.join(prev, next)
	}
	return false
}

// boundary returns the two VMAs that meet at addr. ok is false when there are none, or the second has an
// operation of its own for its end, so that it cannot go.
func (m *MemoryManager) boundary(addr uint64) (prev, next segment.Segment[VMA], ok bool) {
	prev, next, hasPrev, hasNext := m.neighbours(addr, addr)
	return prev, next, hasPrev && hasNext && prev.Start != next.Start && !hasClose(&next.Value)
}

// join makes two neighbours one.
func (m *MemoryManager) join(prev, next segment.Segment[VMA]) {
	m.unlink(next.Start)
	prev.Value.absorb(&next.Value)
	m.vmas.Update(prev.Start, prev.Start, next.End, prev.Value)
}

// modifyOne gives the part [start, end) of the VMA seg the value v, whose offset is that of
// start (vma_modify, vma_merge_existing_range):
//
//	  [start, end)
//	[prev)[.. seg ..)[next)
//	[ prev extends )[next)      left:  prev takes the part, seg shrinks or goes
//	[prev)[ next extends  )     right: next takes the part, seg shrinks or goes
//	[ prev takes all      )     both
//	[prev)[a)[part)[b)[next)    none:  split
func (m *MemoryManager) modifyOne(seg segment.Segment[VMA], start, end uint64, v VMA) Result {
	if v == clip(seg, start, end).Value {
		return succeeded(0)
	}
	old := seg.Value.Flags
	part := segment.Segment[VMA]{Start: start, End: end, Value: v}
	prev, next, left, right := m.neighbours(start, end)
	leftSide, rightSide := start == seg.Start, end == seg.End
	left = left && leftSide && m.mergeable(prev, part)
	right = right && rightSide && m.mergeable(part, next)
	if left && right && (!m.anonTogether(prev, next) || hasClose(&next.Value)) {
		right = false
	}
	whole := leftSide && rightSide
	if v.Flags&vmSpecial != 0 || whole && hasClose(&seg.Value) {
		left, right = false, false
	}
	switch {
	case left && right:
		m.unlink(seg.Start)
		m.unlink(next.Start)
		prev.Value.absorb(&v)
		prev.Value.absorb(&next.Value)
		m.vmas.Update(prev.Start, prev.Start, next.End, prev.Value)
	case left:
		if whole {
			m.unlink(seg.Start)
		} else {
			m.vmas.Update(seg.Start, end, seg.End, clip(seg, end, seg.End).Value)
		}
		prev.Value.absorb(&v)
		m.vmas.Update(prev.Start, prev.Start, end, prev.Value)
	case right:
		if whole {
			m.unlink(seg.Start)
		} else {
			m.vmas.Update(seg.Start, seg.Start, start, seg.Value)
		}
		next.Value.Flags |= v.Flags & vmSticky
		anon := mergedAnon(v.Anon, next.Value.Anon)
		next.Value.PgOff -= hostarch.Pages(end - start)
		next.Value.Anon = anon
		m.vmas.Update(next.Start, start, next.End, next.Value)
	default:
		if res := m.splitOut(seg, start, end); res.Errno != 0 {
			return res
		}
		m.vmas.Update(start, start, end, v)
	}
	pages := hostarch.Pages(end - start)
	m.unaccount(old, pages)
	m.account(v.Flags, pages)
	return succeeded(0)
}

// splitOut splits seg so that [start, end) is a VMA of its own, first at start and then at end. When
// the second split is refused, the first one stays, as in vma_modify.
func (m *MemoryManager) splitOut(seg segment.Segment[VMA], start, end uint64) Result {
	split := false
	for _, at := range [...]uint64{start, end} {
		if at <= seg.Start || at >= seg.End {
			continue
		}
		errno := maySplit(&seg.Value, at)
		if m.totals.MapCount >= m.cfg.MaxMapCount {
			errno = linux.ENOMEM
		}
		if errno != 0 {
			m.loose = m.loose || split
			res := m.splitFailed(errno)
			res.Partial = split
			return res
		}
		m.splitAt(at)
		split = true
	}
	return succeeded(0)
}
