package segment

import "sync/atomic"

// owners is the last owner mark given out. It is the only state sets share, and atomic because two
// sets that never were one may be cloned under two different locks.
var owners atomic.Uint64

// spareNodes is how many nodes of each kind a set keeps for reuse. A split takes one per level and
// a merge gives it back, so a few are enough for a set whose size stays about the same.
const spareNodes = 4

// spares are nodes that left the tree and that no clone can see.
type spares[V any] struct {
	node [spareNodes]*node[V]
	n    int
}

func (s *spares[V]) get() *node[V] {
	if s.n == 0 {
		return nil
	}
	s.n--
	n := s.node[s.n]
	s.node[s.n] = nil
	return n
}

func (s *spares[V]) put(n *node[V]) {
	if s.n == spareNodes {
		return
	}
	// Not to keep alive what the node held.
	n.remove(0, n.n)
	s.node[s.n] = n
	s.n++
}

// newNode returns an empty node of the kind of like that s may write.
func (s *Set[V]) newNode(like *node[V]) *node[V] {
	if like.kids != nil {
		return s.newInner()
	}
	return s.newLeaf()
}

func (s *Set[V]) newLeaf() *node[V] {
	n := s.leaves.get()
	if n == nil {
		// One allocation for both parts.
		leaf := new(struct {
			node node[V]
			vals [fanout]V
		})
		n = &leaf.node
		n.vals = &leaf.vals
	}
	n.owner = s.owner
	return n
}

func (s *Set[V]) newInner() *node[V] {
	n := s.inners.get()
	if n == nil {
		inner := new(struct {
			node node[V]
			kids kids[V]
		})
		n = &inner.node
		n.kids = &inner.kids
	}
	n.owner = s.owner
	return n
}

// release takes a node that has left the tree. One that a clone may still see is left alone.
func (s *Set[V]) release(n *node[V]) {
	switch {
	case n.owner != s.owner:
	case n.kids != nil:
		s.inners.put(n)
	default:
		s.leaves.put(n)
	}
}

// writable returns n if s may write it, or else a copy that s may write.
func (s *Set[V]) writable(n *node[V]) *node[V] {
	if n.owner == s.owner {
		return n
	}
	c := s.newNode(n)
	c.n = n.n
	c.fill(0, n, 0, n.n)
	return c
}

// writableKid makes the child in slot i of parent writable. s must be allowed to write parent.
func (s *Set[V]) writableKid(parent *node[V], i int) *node[V] {
	kid := s.writable(parent.kids.kid[i])
	parent.kids.kid[i] = kid
	return kid
}
