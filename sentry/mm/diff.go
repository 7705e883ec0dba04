package mm

import (
	"fmt"
	"strings"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/procmaps"
	"github.com/runsbx/runsbx/sentry/segment"
)

// Difference is a place where the model and the kernel's list disagree. Model and Kernel are
// what each has there, as maps prints it.
type Difference struct {
	Range         hostarch.AddrRange
	Model, Kernel string
}

// String says it on one line.
func (d Difference) String() string {
	return fmt.Sprintf("%v: the model has %s, the kernel has %s", d.Range, d.Model, d.Kernel)
}

// Diff compares the address space with the kernel's list and returns where they differ in
// anything that the list shows. Not a difference is what the model cannot know: how far a stack
// has grown, and whether neighbours that look alike are one VMA or two, where that depends on
// page faults or on whether two descriptors are one description.
func (m *MemoryManager) Diff(entries []procmaps.Entry) []Difference {
	return m.diff(entries, false)
}

// diff is Diff; strict takes every boundary for a difference.
func (m *MemoryManager) diff(entries []procmaps.Entry, strict bool) []Difference {
	var out []Difference
	s := sweep{m: m, entries: entries}
	for s.next() {
		switch {
		case s.inModel && s.inKernel:
			if !visibleEqual(&s.seg, s.entry, s.at) {
				out = append(out, s.difference())
			} else if d, ok := s.boundary(strict); ok {
				out = append(out, d)
			}
		case s.inModel:
			out = append(out, s.difference())
		case !s.isGrowth():
			out = append(out, s.difference())
		}
	}
	return out
}

// sweep walks over both lists at once, from boundary to boundary of either.
type sweep struct {
	m       *MemoryManager
	entries []procmaps.Entry // those that do not end at or below at
	at, end uint64           // the present piece
	seg     segment.Segment[VMA]
	entry   *procmaps.Entry
	// whether the piece is mapped in either; seg and entry are what covers it, or what follows
	inModel, inKernel bool
	hasSeg            bool
	prevSeg           segment.Segment[VMA]
	prevEntry         *procmaps.Entry
}

// next goes to the next piece that either list maps.
func (s *sweep) next() bool {
	if s.inModel && s.end == s.seg.End {
		s.prevSeg = s.seg
	}
	if s.inKernel && s.end == uint64(s.entry.Range.End) {
		s.prevEntry = s.entry
		s.entries = s.entries[1:]
	}
	s.at = s.end
	s.seg, s.hasSeg = s.m.vmas.Find(s.at)
	s.entry = nil
	if len(s.entries) > 0 && s.entries[0].Range.Start < s.m.cfg.TaskSize {
		s.entry = &s.entries[0]
	}
	switch {
	case !s.hasSeg && s.entry == nil:
		return false
	case s.entry == nil:
		s.at = max(s.at, s.seg.Start)
	case !s.hasSeg:
		s.at = max(s.at, uint64(s.entry.Range.Start))
	default:
		s.at = max(s.at, min(s.seg.Start, uint64(s.entry.Range.Start)))
	}
	s.inModel = s.hasSeg && s.seg.Start <= s.at
	s.inKernel = s.entry != nil && uint64(s.entry.Range.Start) <= s.at
	s.end = ^uint64(0)
	if s.hasSeg {
		s.end = boundaryAfter(s.at, s.seg.Start, s.seg.End)
	}
	if s.entry != nil {
		s.end = min(s.end, boundaryAfter(s.at, uint64(s.entry.Range.Start), uint64(s.entry.Range.End)))
	}
	return true
}

// boundaryAfter returns the first of start < end that lies above at.
func boundaryAfter(at, start, end uint64) uint64 {
	if start > at {
		return start
	}
	return end
}

// isGrowth reports whether the piece, which only the kernel maps, is what a stack has grown by.
func (s *sweep) isGrowth() bool {
	return s.hasSeg && s.seg.Value.Flags&VM_GROWSDOWN != 0 && s.seg.End == uint64(s.entry.Range.End) &&
		s.seg.Start == s.end
}

// boundary reports a boundary at the start of the piece that only one list has.
func (s *sweep) boundary(strict bool) (Difference, bool) {
	inModel, inKernel := s.seg.Start == s.at, uint64(s.entry.Range.Start) == s.at
	if inModel == inKernel || s.seg.Value.Flags&VM_GROWSDOWN != 0 {
		return Difference{}, false
	}
	if !strict && (unsureBoundary(&s.seg.Value) || inModel && (s.seg.Value.hasUnknownPolicy() || s.prevSeg.Value.hasUnknownPolicy())) {
		return Difference{}, false
	}
	d := s.difference()
	if inModel {
		d.Model, d.Kernel = "a VMA that starts here, "+d.Model, "it in the middle of one, "+d.Kernel
	} else {
		d.Model, d.Kernel = "the middle of a VMA, "+d.Model, "one that starts here, "+d.Kernel
	}
	return d, true
}

// unsureBoundary reports whether the VMA's neighbours merge with it or not for reasons that
// cannot be seen: its anon_vma, which only memory that may be written privately has, or who
// opened its file.
func unsureBoundary(v *VMA) bool {
	if v.File != nil && (v.File.UnsureIdentity || v.File.Kind == Device) {
		return true
	}
	return v.Flags&VM_SHARED == 0 && (v.File == nil || v.Flags&(VM_WRITE|VM_ACCOUNT) != 0)
}

// difference describes the present piece.
func (s *sweep) difference() Difference {
	d := Difference{
		Range: hostarch.AddrRange{Start: hostarch.Addr(s.at), End: hostarch.Addr(s.end)},
		Model: "nothing", Kernel: "nothing",
	}
	if s.inModel {
		d.Model = describeVMA(&s.seg, s.at)
	}
	if s.inKernel {
		d.Kernel = describeEntry(s.entry)
	}
	return d
}

// describeVMA prints a VMA as maps does, with the offset at addr.
func describeVMA(seg *segment.Segment[VMA], addr uint64) string {
	v := &seg.Value
	var b strings.Builder
	fmt.Fprintf(&b, "%s [%s]", permissions(v.Flags&VM_READ != 0, v.Flags&VM_WRITE != 0, v.Flags&VM_EXEC != 0,
		v.Flags&VM_MAYSHARE != 0), rangeOf(*seg))
	if v.File != nil {
		off := (v.PgOff + hostarch.Pages(addr-seg.Start)) << hostarch.PageShift
		fmt.Fprintf(&b, " %x %x:%d %s", off, v.File.Dev, v.File.Ino, v.File.Name)
	}
	if name := v.special(); name != "" {
		b.WriteString(" " + name)
	}
	return b.String()
}

func describeEntry(e *procmaps.Entry) string {
	s := fmt.Sprintf("%s [%s]", permissions(e.Read, e.Write, e.Exec, e.Shared), e.Range)
	if hasFile(e) {
		s += fmt.Sprintf(" %x %x:%d", e.Offset, e.Dev(), e.Ino)
	}
	if e.Name != "" {
		s += " " + e.Name
	}
	return s
}

// permissions prints the letters of maps.
func permissions(r, w, x, shared bool) string {
	b := [4]byte{'-', '-', '-', 'p'}
	if r {
		b[0] = 'r'
	}
	if w {
		b[1] = 'w'
	}
	if x {
		b[2] = 'x'
	}
	if shared {
		b[3] = 's'
	}
	return string(b[:])
}

// visibleEqual reports whether the VMA shows as e does at addr, which both contain.
func visibleEqual(seg *segment.Segment[VMA], e *procmaps.Entry, addr uint64) bool {
	v := &seg.Value
	if e.Read != (v.Flags&VM_READ != 0) || e.Write != (v.Flags&VM_WRITE != 0) ||
		e.Exec != (v.Flags&VM_EXEC != 0) || e.Shared != (v.Flags&VM_MAYSHARE != 0) {
		return false
	}
	if v.File == nil {
		return !hasFile(e) && (v.special() == "" || v.special() == e.Name) &&
			(v.special() != "" || !isSpecialName(e.Name))
	}
	if !hasFile(e) {
		return false
	}
	if v.File.Ino != 0 && (v.File.Ino != e.Ino || v.File.Dev != e.Dev()) {
		return false
	}
	return v.PgOff+hostarch.Pages(addr-seg.Start) == hostarch.Pages(e.Offset)+hostarch.Pages(addr-uint64(e.Range.Start))
}
