package segment

// PLACEHOLDER by the lead so that the packages above compile: a sorted slice. The helper who owns
// this package deletes this file when the B+tree is there.

import (
	"fmt"
	"iter"
	"slices"
	"sort"
)

// Set is an ordered set of ranges.
type Set[V any] struct{ s []Segment[V] }

// Segment is one half-open range.
type Segment[V any] struct {
	Start, End uint64
	Value      V
}

func (s *Set[V]) Len() int      { return len(s.s) }
func (s *Set[V]) Clone() Set[V] { return Set[V]{slices.Clone(s.s)} }
func (s *Set[V]) idx(addr uint64) int {
	return sort.Search(len(s.s), func(i int) bool { return s.s[i].End > addr })
}
func (s *Set[V]) Insert(start, end uint64, v V) {
	i := s.idx(start)
	if start >= end || i < len(s.s) && s.s[i].Start < end {
		panic("segment: overlapping insert")
	}
	s.s = slices.Insert(s.s, i, Segment[V]{start, end, v})
}
func (s *Set[V]) Remove(start uint64) V {
	i := s.idx(start)
	if i == len(s.s) || s.s[i].Start != start {
		panic("segment: remove of nothing")
	}
	v := s.s[i].Value
	s.s = slices.Delete(s.s, i, i+1)
	return v
}
func (s *Set[V]) Update(start, newStart, newEnd uint64, v V) {
	i := s.idx(start)
	if i == len(s.s) || s.s[i].Start != start || newStart >= newEnd || i > 0 && s.s[i-1].End > newStart || i+1 < len(s.s) && s.s[i+1].Start < newEnd {
		panic("segment: bad update")
	}
	s.s[i] = Segment[V]{newStart, newEnd, v}
}
func (s *Set[V]) Find(addr uint64) (Segment[V], bool) {
	if i := s.idx(addr); i < len(s.s) {
		return s.s[i], true
	}
	return Segment[V]{}, false
}
func (s *Set[V]) At(addr uint64) (Segment[V], bool) {
	g, ok := s.Find(addr)
	return g, ok && g.Start <= addr
}
func (s *Set[V]) Prev(addr uint64) (Segment[V], bool) {
	if i := s.idx(addr); i > 0 {
		return s.s[i-1], true
	}
	return Segment[V]{}, false
}
func (s *Set[V]) First() (Segment[V], bool) {
	if len(s.s) > 0 {
		return s.s[0], true
	}
	return Segment[V]{}, false
}
func (s *Set[V]) Last() (Segment[V], bool) {
	if len(s.s) > 0 {
		return s.s[len(s.s)-1], true
	}
	return Segment[V]{}, false
}
func (s *Set[V]) All() iter.Seq[Segment[V]] { return slices.Values(s.s) }
func (s *Set[V]) Range(start, end uint64) iter.Seq[Segment[V]] {
	return func(yield func(Segment[V]) bool) {
		for i := s.idx(start); i < len(s.s) && s.s[i].Start < end; i++ {
			if !yield(s.s[i]) {
				return
			}
		}
	}
}
func (s *Set[V]) GapUp(low, high, size uint64) (uint64, uint64, bool) {
	at := low
	for i := s.idx(low); ; i++ {
		lim := high
		if i < len(s.s) {
			lim = min(high, s.s[i].Start)
		}
		if lim > at && lim-at >= size {
			return at, lim, true
		}
		if i >= len(s.s) || s.s[i].End >= high {
			return 0, 0, false
		}
		at = max(low, s.s[i].End)
	}
}
func (s *Set[V]) GapDown(low, high, size uint64) (uint64, uint64, bool) {
	at := high
	for i := sort.Search(len(s.s), func(i int) bool { return s.s[i].Start >= high }) - 1; ; i-- {
		lim := low
		if i >= 0 {
			lim = max(low, s.s[i].End)
		}
		if at > lim && at-lim >= size {
			return lim, at, true
		}
		if i < 0 || s.s[i].Start <= low {
			return 0, 0, false
		}
		at = min(high, s.s[i].Start)
	}
}
func (s *Set[V]) CheckInvariants() error {
	for i, g := range s.s {
		if g.Start >= g.End || i > 0 && s.s[i-1].End > g.Start {
			return fmt.Errorf("segment %d out of order", i)
		}
	}
	return nil
}
