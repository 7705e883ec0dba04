package segment

import "iter"

// Find returns the first range that ends above addr: the one that contains addr, or else the next
// one above it. O(log n). (Linux: find_vma.)
func (s *Set[V]) Find(addr uint64) (Segment[V], bool) {
	if leaf, i := s.find(addr); leaf != nil {
		return leaf.segment(i), true
	}
	return Segment[V]{}, false
}

// At returns the range that contains addr. O(log n). (Linux: vma_lookup.)
func (s *Set[V]) At(addr uint64) (Segment[V], bool) {
	if leaf, i := s.find(addr); leaf != nil && leaf.lo[i] <= addr {
		return leaf.segment(i), true
	}
	return Segment[V]{}, false
}

// find returns the leaf and the slot of the first range that ends above addr, or nil.
func (s *Set[V]) find(addr uint64) (*node[V], int) {
	n := s.root
	if n == nil || n.hi[n.n-1] <= addr {
		return nil, 0
	}
	for n.kids != nil {
		n = n.kids.kid[n.search(addr)]
	}
	return n, n.search(addr)
}

// Prev returns the last range that ends at or below addr, that is the nearest one that lies wholly
// below addr. O(log n).
func (s *Set[V]) Prev(addr uint64) (Segment[V], bool) {
	// The range is just left of where find leads. If that is the start of a leaf, it is the last
	// one below the nearest slot to the left of the way there.
	var left *node[V]
	for n := s.root; n != nil; {
		i := n.search(addr)
		if n.kids == nil {
			if i > 0 {
				return n.segment(i - 1), true
			}
			break
		}
		if i > 0 {
			left = n.kids.kid[i-1]
		}
		if i == n.n {
			break
		}
		n = n.kids.kid[i]
	}
	if left == nil {
		return Segment[V]{}, false
	}
	return left.last(), true
}

// First returns the lowest range. O(log n).
func (s *Set[V]) First() (Segment[V], bool) {
	n := s.root
	if n == nil {
		return Segment[V]{}, false
	}
	for n.kids != nil {
		n = n.kids.kid[0]
	}
	return n.segment(0), true
}

// Last returns the highest range. O(log n).
func (s *Set[V]) Last() (Segment[V], bool) {
	if s.root == nil {
		return Segment[V]{}, false
	}
	return s.root.last(), true
}

// All iterates over the ranges in ascending order. The set must not be written meanwhile; to do so
// iterate over a Clone, or step with Find(seg.End). O(n).
func (s *Set[V]) All() iter.Seq[Segment[V]] {
	return func(yield func(Segment[V]) bool) {
		if s.root != nil {
			s.root.visit(0, 1<<64-1, yield)
		}
	}
}

// Range iterates in ascending order over the ranges that have a byte in [start, end), in full and
// not clipped to it. If that is empty there are none. The set must not be written meanwhile, see
// All. O(log n + k) for k ranges.
func (s *Set[V]) Range(start, end uint64) iter.Seq[Segment[V]] {
	return func(yield func(Segment[V]) bool) {
		if s.root != nil && start < end {
			s.root.visit(start, end, yield)
		}
	}
}

// visit yields the ranges below n that overlap [start, end), and reports whether to go on.
func (n *node[V]) visit(start, end uint64, yield func(Segment[V]) bool) bool {
	for i := n.search(start); i < n.n && n.lo[i] < end; i++ {
		if n.kids != nil {
			if !n.kids.kid[i].visit(start, end, yield) {
				return false
			}
		} else if !yield(n.segment(i)) {
			return false
		}
	}
	return true
}
