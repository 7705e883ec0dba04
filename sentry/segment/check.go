package segment

import "fmt"

// CheckInvariants returns an error that says what is wrong if the tree is not as it should be: if
// ranges are empty, out of order or overlap, if an inner node's bounds or gaps are not those of its
// child, if a node has too few slots, if leaves lie at different depths, if this set could write a
// node that another one sees, or if Len is off. It is for tests, and O(n).
func (s *Set[V]) CheckInvariants() error {
	if s.root == nil {
		if s.len != 0 {
			return fmt.Errorf("segment: Len is %d without a root", s.len)
		}
		return nil
	}
	c := checker[V]{owner: s.owner, leafDepth: -1}
	if err := c.check(s.root, 0); err != nil {
		return err
	}
	if c.len != s.len {
		return fmt.Errorf("segment: Len is %d, but there are %d ranges", s.len, c.len)
	}
	return nil
}

type checker[V any] struct {
	owner     uint64
	leafDepth int // -1 before the first leaf
	len       int
	end       uint64 // of the last range so far
}

func (c *checker[V]) check(n *node[V], depth int) error {
	least := minFill
	switch {
	case depth == 0 && n.kids != nil:
		least = 2
	case depth == 0:
		least = 1
	}
	switch {
	case n.n < least || n.n > fanout:
		return fmt.Errorf("segment: a node at depth %d has %d slots, not %d to %d", depth, n.n, least, fanout)
	case depth >= maxHeight:
		return fmt.Errorf("segment: a node at depth %d", depth)
	case (n.kids == nil) == (n.vals == nil):
		return fmt.Errorf("segment: a node at depth %d is not either a leaf or an inner node", depth)
	case n.kids == nil:
		return c.checkLeaf(n, depth)
	default:
		return c.checkInner(n, depth)
	}
}

func (c *checker[V]) checkLeaf(n *node[V], depth int) error {
	if c.leafDepth < 0 {
		c.leafDepth = depth
	}
	if depth != c.leafDepth {
		return fmt.Errorf("segment: leaves at depth %d and %d", c.leafDepth, depth)
	}
	for i := range n.n {
		if n.lo[i] < c.end || n.lo[i] >= n.hi[i] {
			return fmt.Errorf("segment: range [%#x, %#x) after one that ends at %#x", n.lo[i], n.hi[i], c.end)
		}
		c.end = n.hi[i]
	}
	c.len += n.n
	return nil
}

func (c *checker[V]) checkInner(n *node[V], depth int) error {
	for i := range fanout {
		kid := n.kids.kid[i]
		if (kid != nil) != (i < n.n) {
			return fmt.Errorf("segment: slot %d of a node with %d is wrong", i, n.n)
		}
		if kid == nil {
			continue
		}
		if kid.owner == c.owner && n.owner != c.owner {
			return fmt.Errorf("segment: a node of the set hangs on a shared one")
		}
		if err := c.check(kid, depth+1); err != nil {
			return err
		}
		if lo, hi := kid.lo[0], kid.hi[kid.n-1]; n.lo[i] != lo || n.hi[i] != hi {
			return fmt.Errorf("segment: slot [%#x, %#x) has a child [%#x, %#x)", n.lo[i], n.hi[i], lo, hi)
		}
		// c.check has found the child's own summaries right, so this goes down one level only.
		if gap := kid.largestGap(); n.kids.gap[i] != gap {
			return fmt.Errorf("segment: slot [%#x, %#x) has gap %#x, its child %#x", n.lo[i], n.hi[i], n.kids.gap[i], gap)
		}
	}
	return nil
}
