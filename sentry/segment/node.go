package segment

// fanout is how many slots a node has. With 30 a leaf of pointers is 752 bytes and an inner node
// 992 bytes; with the allocator's 8-byte header both just fit a size class (768 and 1024).
const fanout = 30

// minFill is the fewest slots a node other than the root may use. A quarter rather than the usual
// half, so that a node that was just split or merged is far from the next split or merge: mapping
// and unmapping the same range over and over then touches one leaf only.
const minFill = fanout / 4

// mergeMax is the largest node that merging two siblings may make. Above it they share their
// slots evenly instead, because a full node would split again on the next insert.
const mergeMax = fanout * 3 / 4

// maxHeight bounds the levels of a tree. 2*minFill^(maxHeight-1) ranges need it, and there is no
// memory for so many.
const maxHeight = 16

// node is a leaf or an inner node. Both have the same sorted lo and hi, so that one search and one
// set of moves serve both: in a leaf slot i is the range [lo[i], hi[i]), in an inner node it is the
// child kids.kid[i], which spans [lo[i], hi[i]) from its first range's start to its last one's end,
// and the largest gap between two ranges of which is kids.gap[i] bytes.
//
//	            slot 0               slot 1
//	inner       [0x1000,0x7000)      [0x9000,0xf000)
//	            gap 0x3000           gap 0x1000
//	            /                    \
//	leaf     [0x1000,0x2000)          [0x9000,0xa000)
//	         [0x2000,0x3000)          [0xb000,0xf000)
//	         [0x6000,0x7000)
//
//	      0x1000         0x3000    0x6000  0x7000  0x9000  0xa000  0xb000         0xf000
//	 .....|#######|#######|.........|#######|.......|#######|.......|##############|......
//	 edge                 gap of              gap of the      gap of                 edge
//	 of root              slot 0              inner node      slot 1               of root
//
// A gap between two ranges belongs to the lowest node that has both sides below it, and the two
// edges belong to nobody. So a node's summary depends on nothing outside it: a write has to mend
// the summaries on its own path only, and may stop at the first one that did not change.
//
// Slots from n on hold no pointers, so that the garbage collector sees no dead values.
type node[V any] struct {
	// owner is the set that may write this node. All others have to copy it first.
	owner uint64
	n     int
	hi    [fanout]uint64 // before lo: it is what a search reads
	lo    [fanout]uint64
	// Exactly one of these is set. Both point into the allocation the node itself is in.
	vals *[fanout]V
	kids *kids[V]
}

// kids is the part only inner nodes have.
type kids[V any] struct {
	gap [fanout]uint64 // bytes
	kid [fanout]*node[V]
}

// search returns the first slot that ends above addr, or n. This is a linear scan: the slots in
// use fit a few cache lines, and one mispredicted branch costs less than the several of a binary
// search.
func (n *node[V]) search(addr uint64) int {
	for i, hi := range n.hi[:n.n] {
		if hi > addr {
			return i
		}
	}
	return n.n
}

// segment returns the range in slot i of a leaf.
func (n *node[V]) segment(i int) Segment[V] {
	return Segment[V]{Start: n.lo[i], End: n.hi[i], Value: n.vals[i]}
}

// last returns the last range below n.
func (n *node[V]) last() Segment[V] {
	for n.kids != nil {
		n = n.kids.kid[n.n-1]
	}
	return n.segment(n.n - 1)
}

// largestGap returns the bytes of the largest gap between two ranges below n.
func (n *node[V]) largestGap() uint64 {
	var largest uint64
	lo, hi := n.lo[:n.n], n.hi[:n.n]
	for i := 1; i < len(lo) && i < len(hi); i++ {
		largest = max(largest, lo[i]-hi[i-1])
	}
	if n.kids != nil {
		for _, gap := range n.kids.gap[:n.n] {
			largest = max(largest, gap)
		}
	}
	return largest
}

// summarise makes slot i of an inner node say what its child says, and reports whether that
// changed it.
func (n *node[V]) summarise(i int) bool {
	kid := n.kids.kid[i]
	lo, hi, gap := kid.lo[0], kid.hi[kid.n-1], kid.largestGap()
	if n.lo[i] == lo && n.hi[i] == hi && n.kids.gap[i] == gap {
		return false
	}
	n.lo[i], n.hi[i], n.kids.gap[i] = lo, hi, gap
	return true
}

// open makes k slots at i, with what was there still in them. The caller fills them.
func (n *node[V]) open(i, k int) {
	copy(n.lo[i+k:], n.lo[i:n.n])
	copy(n.hi[i+k:], n.hi[i:n.n])
	if n.kids != nil {
		copy(n.kids.gap[i+k:], n.kids.gap[i:n.n])
		copy(n.kids.kid[i+k:], n.kids.kid[i:n.n])
	} else {
		copy(n.vals[i+k:], n.vals[i:n.n])
	}
	n.n += k
}

// remove removes the k slots at i.
func (n *node[V]) remove(i, k int) {
	copy(n.lo[i:], n.lo[i+k:n.n])
	copy(n.hi[i:], n.hi[i+k:n.n])
	if n.kids != nil {
		copy(n.kids.gap[i:], n.kids.gap[i+k:n.n])
		copy(n.kids.kid[i:], n.kids.kid[i+k:n.n])
		clear(n.kids.kid[n.n-k : n.n])
	} else {
		copy(n.vals[i:], n.vals[i+k:n.n])
		clear(n.vals[n.n-k : n.n])
	}
	n.n -= k
}

// fill copies the k slots of from at j over those of n at i.
func (n *node[V]) fill(i int, from *node[V], j, k int) {
	copy(n.lo[i:i+k], from.lo[j:])
	copy(n.hi[i:i+k], from.hi[j:])
	if n.kids != nil {
		copy(n.kids.gap[i:i+k], from.kids.gap[j:])
		copy(n.kids.kid[i:i+k], from.kids.kid[j:])
	} else {
		copy(n.vals[i:i+k], from.vals[j:])
	}
}

// putRange inserts a range at slot i of a leaf that has room.
func (n *node[V]) putRange(i int, start, end uint64, v V) {
	n.open(i, 1)
	n.lo[i], n.hi[i], n.vals[i] = start, end, v
}

// putKid inserts a child at slot i of an inner node that has room.
func (n *node[V]) putKid(i int, kid *node[V]) {
	n.open(i, 1)
	n.kids.kid[i] = kid
	n.lo[i], n.hi[i], n.kids.gap[i] = kid.lo[0], kid.hi[kid.n-1], kid.largestGap()
}

// even moves slots between the neighbours a and b, so that they have the same number or a one more.
func even[V any](a, b *node[V]) {
	want := (a.n + b.n + 1) / 2
	if k := a.n - want; k > 0 {
		b.open(0, k)
		b.fill(0, a, want, k)
		a.remove(want, k)
	} else if k := want - a.n; k > 0 {
		at := a.n
		a.open(at, k)
		a.fill(at, b, 0, k)
		b.remove(0, k)
	}
}
