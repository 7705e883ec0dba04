package wx

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/segment"
)

// History is what an address space may have written of its private mappings of files, by address.
// Ranges are half-open, in bytes. Its zero value is that of a new address space.
type History struct {
	written segment.Set[struct{}]
}

// Add records that what is mapped at r may have been written.
func (h *History) Add(r hostarch.AddrRange) {
	start, end := uint64(r.Start), uint64(r.End)
	if start >= end {
		return
	}
	// Ranges that overlap r or touch it become one with it.
	if p, ok := h.written.At(start); ok {
		start = p.Start
	} else if p, ok := h.written.Prev(start); ok && p.End == start {
		start = p.Start
	}
	for s, ok := h.written.Find(start); ok && s.Start <= end; s, ok = h.written.Find(start) {
		end = max(end, s.End)
		h.written.Remove(s.Start)
	}
	h.written.Insert(start, end, struct{}{})
}

// Remove records that what is mapped at r is new.
func (h *History) Remove(r hostarch.AddrRange) {
	start, end := uint64(r.Start), uint64(r.End)
	if start >= end {
		return
	}
	for s, ok := h.written.Find(start); ok && s.Start < end; s, ok = h.written.Find(start) {
		h.written.Remove(s.Start)
		if s.Start < start {
			h.written.Insert(s.Start, start, struct{}{})
		}
		if s.End > end {
			h.written.Insert(end, s.End, struct{}{})
		}
	}
}

// Overlaps reports whether anything in r may have been written.
func (h *History) Overlaps(r hostarch.AddrRange) bool {
	s, ok := h.written.Find(uint64(r.Start))
	return ok && s.Start < uint64(r.End)
}

// Move records that what was mapped at from is mapped at to as well, of which the rest is new
// (mremap). Where it was, it may still be (MREMAP_DONTUNMAP).
//
//	from        [ww..w)
//	to                      [ww..w...)
func (h *History) Move(from, to hostarch.AddrRange) {
	var moved []hostarch.AddrRange
	for s := range h.written.Range(uint64(from.Start), uint64(from.End)) {
		lo, hi := max(s.Start, uint64(from.Start)), min(s.End, uint64(from.End))
		off := uint64(to.Start) - uint64(from.Start)
		r := hostarch.AddrRange{Start: hostarch.Addr(lo + off), End: min(hostarch.Addr(hi+off), to.End)}
		moved = append(moved, r)
	}
	h.Remove(to)
	for _, r := range moved {
		h.Add(r)
	}
}

// Clone returns what a child made by fork starts with.
func (h *History) Clone() History { return History{h.written.Clone()} }
