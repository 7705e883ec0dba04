package segment

// GapUp returns the lowest gap that still has size bytes when cut to [low, high), as that cut
// [start, end). So start is the lowest address at which size free bytes begin, and end says how far
// it could be moved up. A size of 0 is taken as 1. O(log n). (Linux: mas_empty_area.)
//
// Only a child that has a large enough gap is entered. Entering it is in vain only if that gap is
// not in [low, high), thus at most for the child around low and the one around high at each level.
func (s *Set[V]) GapUp(low, high, size uint64) (start, end uint64, ok bool) {
	w := window{low: low, high: high, size: max(size, 1)}
	if n := s.root; n == nil {
		_ = w.cut(0, 1<<64-1)
	} else {
		// The gaps before the first and after the last range are in no node.
		_ = w.cut(0, n.lo[0]) || n.gapUp(&w) || w.cut(n.hi[n.n-1], 1<<64-1)
	}
	return w.start, w.end, w.ok
}

// GapDown returns the highest gap that still has size bytes when cut to [low, high), as that cut
// [start, end). So end is the highest address at which size free bytes end. A size of 0 is taken as
// 1. O(log n), see GapUp. (Linux: mas_empty_area_rev.)
func (s *Set[V]) GapDown(low, high, size uint64) (start, end uint64, ok bool) {
	w := window{low: low, high: high, size: max(size, 1)}
	if n := s.root; n == nil {
		_ = w.cut(0, 1<<64-1)
	} else {
		_ = w.cut(n.hi[n.n-1], 1<<64-1) || n.gapDown(&w) || w.cut(0, n.lo[0])
	}
	return w.start, w.end, w.ok
}

// window is a gap search: where, how many bytes, and the result.
type window struct {
	low, high, size uint64
	start, end      uint64
	ok              bool
}

// cut cuts the gap [start, end) to the window, and takes it if that is large enough.
func (w *window) cut(start, end uint64) bool {
	start, end = max(start, w.low), min(end, w.high)
	if start >= end || end-start < w.size {
		return false
	}
	w.start, w.end, w.ok = start, end, true
	return true
}

// gapUp searches the gaps between the ranges below n, from that around w.low upwards.
func (n *node[V]) gapUp(w *window) bool {
	i := n.search(w.low)
	if i == n.n {
		return false
	}
	if i > 0 && w.cut(n.hi[i-1], n.lo[i]) {
		return true
	}
	for ; n.lo[i] < w.high; i++ {
		if n.kids != nil && n.kids.gap[i] >= w.size && n.kids.kid[i].gapUp(w) {
			return true
		}
		if i+1 == n.n {
			break
		}
		if w.cut(n.hi[i], n.lo[i+1]) {
			return true
		}
	}
	return false
}

// gapDown searches the gaps between the ranges below n, from that around w.high downwards.
func (n *node[V]) gapDown(w *window) bool {
	i := n.n - 1
	for i >= 0 && n.lo[i] >= w.high {
		i--
	}
	if i < 0 {
		return false
	}
	if i+1 < n.n && w.cut(n.hi[i], n.lo[i+1]) {
		return true
	}
	for ; n.hi[i] > w.low; i-- {
		if n.kids != nil && n.kids.gap[i] >= w.size && n.kids.kid[i].gapDown(w) {
			return true
		}
		if i == 0 {
			break
		}
		if w.cut(n.hi[i-1], n.lo[i]) {
			return true
		}
	}
	return false
}
