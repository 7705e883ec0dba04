package segment

import "fmt"

// Set is an ordered set of ranges that do not overlap, each with a value. Ranges are half-open,
// [start, end) in bytes, and not empty. They lie in [0, 1<<64-1): the last byte of the address
// space is in no range and in no gap. Ranges that touch stay apart; merging them is the caller's
// business, who knows which values may merge.
//
// The zero value is an empty set. A Set must not be copied but with Clone, since only that tells
// the two copies that they share nodes; moving one, by assigning it and never using the original
// again, is fine.
//
// A Set does no locking. Sets that share nodes, because one is a clone of the other or both are of
// a third, have to be written under one lock, as Clone also writes the set it is called on.
//
// Costs are for a set of n ranges. Nothing allocates but a write that splits a node or is the first
// one to a node since a Clone.
type Set[V any] struct {
	root *node[V] // nil when the set is empty
	len  int
	// owner marks the nodes this set may write in place. No other set with nodes in common has it.
	owner  uint64
	leaves spares[V]
	inners spares[V]
}

// Segment is one range of a set, [Start, End) in bytes, and its value.
type Segment[V any] struct {
	Start, End uint64
	Value      V
}

// path is the way from the root to a leaf.
type path[V any] struct {
	node  [maxHeight]*node[V]
	slot  [maxHeight]int // in an inner node that of the next node, in the leaf that of the range
	depth int            // index of the leaf
}

// Len returns how many ranges there are. O(1).
func (s *Set[V]) Len() int { return s.len }

// Clone returns a copy of the set. O(1): the copies share all nodes until one of them writes, which
// then copies the nodes from the root to the leaf that it changes. Values are copied by assignment.
func (s *Set[V]) Clone() Set[V] {
	// Both sides get a new mark: with the old one either could write what the other sees.
	mark := owners.Add(2)
	s.owner = mark - 1
	return Set[V]{root: s.root, len: s.len, owner: mark}
}

// Insert adds the range [start, end). It panics, and changes nothing, if that is empty or overlaps
// a range of the set. O(log n).
func (s *Set[V]) Insert(start, end uint64, v V) {
	if start >= end {
		panic(fmt.Sprintf("segment: insert of the empty range [%#x, %#x)", start, end))
	}
	if s.root == nil {
		s.root = s.newLeaf()
	}
	var p path[V]
	leaf, i := s.descend(&p, start)
	// All ranges before slot i end at or below start. The one after them is in slot i, or there
	// is none: descend goes to the last child only if no other ends above start.
	if i < leaf.n && leaf.lo[i] < end {
		panic(fmt.Sprintf("segment: insert of [%#x, %#x), which overlaps [%#x, %#x)", start, end, leaf.lo[i], leaf.hi[i]))
	}
	leaf = s.own(&p)
	s.len++
	if leaf.n < fanout {
		inLargest := p.inLargestGap()
		leaf.putRange(i, start, end, v)
		if inLargest {
			p.mend(p.depth)
		}
		return
	}
	right := s.split(leaf, i == 0, i == fanout)
	if i <= leaf.n {
		leaf.putRange(i, start, end, v)
	} else {
		right.putRange(i-leaf.n, start, end, v)
	}
	s.insertRight(&p, right)
}

// Remove removes the range that starts at start and returns its value. It panics, and changes
// nothing, if there is none. O(log n).
func (s *Set[V]) Remove(start uint64) V {
	var p path[V]
	_, i := s.mustFind(&p, start)
	leaf := s.own(&p)
	v := leaf.vals[i]
	leaf.remove(i, 1)
	s.len--
	d := p.depth
	for ; d > 0 && p.node[d].n < minFill; d-- {
		s.refill(p.node[d-1], p.slot[d-1])
	}
	if d < p.depth || p.inLargestGap() {
		p.mend(d)
	}
	// Only the root may have too few slots now, and a tree does not need a root with one child.
	switch root := s.root; {
	case root.n == 0:
		s.root = nil
		s.release(root)
	case root.kids != nil && root.n == 1:
		s.root = root.kids.kid[0]
		s.release(root)
	}
	return v
}

// Update makes the range that starts at start be [newStart, newEnd) with the value v. It panics,
// and changes nothing, if there is no such range, if the new one is empty, or if that overlaps or
// lies beyond a neighbour. O(log n), and cheaper than Remove and Insert.
func (s *Set[V]) Update(start, newStart, newEnd uint64, v V) {
	var p path[V]
	leaf, i := s.mustFind(&p, start)
	below, above := p.room()
	if newStart >= newEnd || newStart < below || newEnd > above {
		panic(fmt.Sprintf("segment: update of [%#x, %#x) to [%#x, %#x), where only [%#x, %#x) is free",
			start, leaf.hi[i], newStart, newEnd, below, above))
	}
	leaf = s.own(&p)
	same := leaf.lo[i] == newStart && leaf.hi[i] == newEnd
	leaf.lo[i], leaf.hi[i], leaf.vals[i] = newStart, newEnd, v
	if !same {
		p.mend(p.depth)
	}
}

// descend walks to the leaf that has the first range that ends above addr, or to the last leaf if
// there is none. It returns that leaf and the range's slot, which in the latter case is the leaf's n.
// The set must have a root.
func (s *Set[V]) descend(p *path[V], addr uint64) (*node[V], int) {
	n, d := s.root, 0
	for ; n.kids != nil; d++ {
		i := min(n.search(addr), n.n-1)
		p.node[d], p.slot[d] = n, i
		n = n.kids.kid[i]
	}
	i := n.search(addr)
	p.node[d], p.slot[d], p.depth = n, i, d
	return n, i
}

// mustFind walks to the range that starts at start.
func (s *Set[V]) mustFind(p *path[V], start uint64) (*node[V], int) {
	if s.root != nil {
		if leaf, i := s.descend(p, start); i < leaf.n && leaf.lo[i] == start {
			return leaf, i
		}
	}
	panic(fmt.Sprintf("segment: no range starts at %#x", start))
}

// room returns the end of the range before the one p leads to, and the start of the one after it.
func (p *path[V]) room() (below, above uint64) {
	above = 1<<64 - 1
	// From the root down, as a node nearer to the leaf knows a nearer neighbour.
	for d := range p.depth + 1 {
		n, i := p.node[d], p.slot[d]
		if i > 0 {
			below = n.hi[i-1]
		}
		if i+1 < n.n {
			above = n.lo[i+1]
		}
	}
	return below, above
}

// own makes all nodes on p writable, and returns the leaf.
func (s *Set[V]) own(p *path[V]) *node[V] {
	// Whoever copies a node has copied those above it.
	if p.node[p.depth].owner != s.owner {
		s.root = s.writable(s.root)
		p.node[0] = s.root
		for d := range p.depth {
			p.node[d+1] = s.writableKid(p.node[d], p.slot[d])
		}
	}
	return p.node[p.depth]
}

// mend brings the summaries of the nodes on p up to date, after the node at depth d changed.
func (p *path[V]) mend(d int) {
	for d > 0 && p.node[d-1].summarise(p.slot[d-1]) {
		d--
	}
}

// inLargestGap reports whether the leaf of p may get another summary when the gap before the range
// that p leads to is filled, or has just become that large. Most often it does not, and then there
// is nothing to mend and not even the leaf's gaps to look through.
func (p *path[V]) inLargestGap() bool {
	leaf, i := p.node[p.depth], p.slot[p.depth]
	if p.depth == 0 || i == 0 || i >= leaf.n {
		return true
	}
	parent, j := p.node[p.depth-1], p.slot[p.depth-1]
	return leaf.lo[i]-leaf.hi[i-1] >= parent.kids.gap[j]
}

// split moves the upper part of n to a new node. atStart and atEnd say where the slot that does not
// fit will go: there most of the slots go to the other side, for memory is mostly mapped upwards or
// downwards, which would leave a trail of half empty nodes.
func (s *Set[V]) split(n *node[V], atStart, atEnd bool) *node[V] {
	at := n.n / 2
	switch {
	case atEnd:
		at = n.n - minFill
	case atStart:
		at = minFill
	}
	right := s.newNode(n)
	right.n = n.n - at
	right.fill(0, n, at, right.n)
	n.remove(at, right.n)
	return right
}

// insertRight puts right, into which the leaf of p was split, into the tree.
func (s *Set[V]) insertRight(p *path[V], right *node[V]) {
	for d := p.depth; d > 0; d-- {
		parent, i := p.node[d-1], p.slot[d-1]
		parent.summarise(i)
		if parent.n < fanout {
			parent.putKid(i+1, right)
			p.mend(d - 1)
			return
		}
		upper := s.split(parent, i == 0, i == fanout-1)
		if i < parent.n {
			parent.putKid(i+1, right)
		} else {
			upper.putKid(i+1-parent.n, right)
		}
		right = upper
	}
	root := s.newInner()
	root.putKid(0, s.root)
	root.putKid(1, right)
	s.root = root
}

// refill merges the child in slot i of parent, which has too few slots, with a neighbour, or gives
// it some of the neighbour's.
func (s *Set[V]) refill(parent *node[V], i int) {
	i = min(i, parent.n-2)
	// The neighbour may be shared. As the one that goes away it can stay so.
	a, b := s.writableKid(parent, i), parent.kids.kid[i+1]
	if a.n+b.n <= mergeMax {
		at := a.n
		a.open(at, b.n)
		a.fill(at, b, 0, b.n)
		parent.remove(i+1, 1)
		s.release(b)
	} else {
		even(a, s.writableKid(parent, i+1))
		parent.summarise(i + 1)
	}
	parent.summarise(i)
}
