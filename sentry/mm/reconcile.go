package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/procmaps"
	"github.com/runsbx/runsbx/sentry/segment"
)

// Reconcile makes the address space equal to the kernel's list and returns how many VMAs
// changed. What the list does not show is kept where a VMA still shows as before; a VMA that was
// not known gets the flags that such a mapping usually has. Neighbours that the kernel keeps
// apart although they look alike are known to be different from then on.
func (m *MemoryManager) Reconcile(entries []procmaps.Entry) (changed int) {
	kept := m.kept
	m.kept = false
	if m.matches(entries) {
		return 0
	}
	m.ops++
	segs := make([]segment.Segment[VMA], 0, len(entries))
	var files fileTable
	for i := range entries {
		e := &entries[i]
		if e.Range.Start >= m.cfg.TaskSize {
			break
		}
		seg, ok := m.knownAs(e)
		if !ok {
			if files == nil {
				files = m.knownFiles()
			}
			seg = segment.Segment[VMA]{Start: uint64(e.Range.Start), End: uint64(e.Range.End), Value: m.derive(e, files, true)}
		}
		if kept {
			m.keptAsOne(&seg)
		}
		if n := len(segs); n > 0 && segs[n-1].End == seg.Start && m.mergeable(segs[n-1], seg) {
			if was, ok := m.vmas.At(seg.Start); ok && was.Start == seg.Start || seg.Value.Flags&VM_SHARED != 0 {
				// The model keeps them apart too, for a reason of its own (a fork); or a call was
				// refused after it had split them, and the next change merges them again.
				m.loose = true
			} else {
				m.setApart(&segs[n-1], &seg)
			}
		}
		segs = append(segs, seg)
	}
	return m.replaceAll(segs)
}

// matches reports whether the list shows exactly the VMAs that the model has.
func (m *MemoryManager) matches(entries []procmaps.Entry) bool {
	n := 0
	for seg := range m.vmas.All() {
		if n == len(entries) {
			return false
		}
		e := &entries[n]
		if uint64(e.Range.Start) != seg.Start || uint64(e.Range.End) != seg.End || !visibleEqual(&seg, e, seg.Start) {
			return false
		}
		n++
	}
	return n == len(entries) || entries[n].Range.Start >= m.cfg.TaskSize
}

// knownAs returns the VMA with e's range and the attributes of the first VMA in that range that
// shows as e does. Where the kernel has one VMA and the model several, they have the same flags: so one
// that is known not to be charged says that the charge of another was given back (see unfaulted).
func (m *MemoryManager) knownAs(e *procmaps.Entry) (known segment.Segment[VMA], ok bool) {
	start, end := uint64(e.Range.Start), uint64(e.Range.End)
	for seg, found := m.vmas.Find(start); found && seg.Start < end; seg, found = m.vmas.Find(seg.End) {
		switch {
		case !visibleEqual(&seg, e, max(seg.Start, start)):
		case !ok:
			known, ok = seg, true
		case !e.Write && seg.Value.Flags&VM_ACCOUNT == 0:
			known.Value.Flags &^= VM_ACCOUNT
		}
	}
	known.Value.PgOff += hostarch.Pages(start) - hostarch.Pages(known.Start)
	known.Start, known.End = start, end
	return known, ok
}

// keptAsOne is for a VMA of the kernel's list after a MREMAP_DONTUNMAP: if the new VMA has become one with
// the old, which the model kept apart, all of it is no longer locked (see keepOld).
func (m *MemoryManager) keptAsOne(seg *segment.Segment[VMA]) {
	var locked, unlocked uint64
	for old, ok := m.vmas.Find(seg.Start); ok && old.Start < seg.End; old, ok = m.vmas.Find(old.End) {
		n := hostarch.Pages(min(old.End, seg.End) - max(old.Start, seg.Start))
		if old.Value.Flags&VM_LOCKED != 0 {
			locked += n
		} else {
			unlocked += n
		}
	}
	if locked != 0 && unlocked != 0 {
		seg.Value.Flags &^= VM_LOCKED | VM_LOCKONFAULT
		m.lockedLeak += locked
	}
}

// knownFiles returns the files that are mapped.
func (m *MemoryManager) knownFiles() fileTable {
	t := fileTable{}
	for seg := range m.vmas.All() {
		if f := seg.Value.File; f != nil && f.Ino != 0 {
			t[fileID{f.Dev, f.Ino}] = f
		}
	}
	return t
}

// setApart gives two neighbours different anon_vmas, which is what keeps them from being one.
func (m *MemoryManager) setApart(a, b *segment.Segment[VMA]) {
	m.anonIDs++
	if a.Value.Anon.ID == 0 {
		a.Value.Anon.ID = m.anonIDs
		m.anonIDs++
	}
	b.Value.Anon.ID = m.anonIDs
}

// replaceAll makes segs the VMAs of the address space and returns how many were not there.
func (m *MemoryManager) replaceAll(segs []segment.Segment[VMA]) (changed int) {
	old := m.vmas
	m.vmas, m.totals, m.dontCopy = segment.Set[VMA]{}, Totals{}, 0
	kept := 0
	for _, seg := range segs {
		m.insert(seg)
		if was, ok := old.At(seg.Start); ok && was == seg {
			kept++
		}
	}
	m.totals.LockedVM += m.lockedLeak
	return max(len(segs), old.Len()) - kept
}
