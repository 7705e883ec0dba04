package segment

import (
	"fmt"
	"slices"
	"testing"
)

// of returns a set of the ranges given as start, end pairs.
func of(t *testing.T, bounds ...uint64) *Set[int] {
	t.Helper()
	s := new(Set[int])
	for i := 0; i < len(bounds); i += 2 {
		s.Insert(bounds[i], bounds[i+1], i/2)
	}
	if err := s.CheckInvariants(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGaps(t *testing.T) {
	type gap struct {
		start, end uint64
		ok         bool
	}
	none := gap{}
	// Gaps of 10 at 0, 5 at 20, none at 30, 20 at 40, and from 70 to the top.
	some := []uint64{10, 20, 25, 30, 30, 40, 60, 70}
	tests := []struct {
		name            string
		set             []uint64
		low, high, size uint64
		up, down        gap
	}{
		{"empty set", nil, 0, top, 1, gap{0, top, true}, gap{0, top, true}},
		{"empty set, whole space", nil, 0, top, top, gap{0, top, true}, gap{0, top, true}},
		{"empty set, window", nil, 5, 9, 4, gap{5, 9, true}, gap{5, 9, true}},
		{"empty set, too large", nil, 5, 9, 5, none, none},
		{"empty window", some, 5, 5, 0, none, none},
		{"window upside down", some, 9, 5, 1, none, none},
		{"size 0 is 1", some, 0, 70, 0, gap{0, 10, true}, gap{40, 60, true}},
		{"size 0 in a full window", some, 30, 40, 0, none, none},
		{"any", some, 0, top, 1, gap{0, 10, true}, gap{70, top, true}},
		{"exact fit at 0", some, 0, 70, 10, gap{0, 10, true}, gap{40, 60, true}},
		{"one more than at 0", some, 0, 70, 11, gap{40, 60, true}, gap{40, 60, true}},
		{"exact fit in the middle", some, 0, 70, 20, gap{40, 60, true}, gap{40, 60, true}},
		{"too large below the edge", some, 0, 70, 21, none, none},
		{"at the top", some, 0, top, 21, gap{70, top, true}, gap{70, top, true}},
		{"exact fit at the top", some, 0, top, top - 70, gap{70, top, true}, gap{70, top, true}},
		{"too large", some, 0, top, top - 69, none, none},
		{"larger than the space", some, 0, top, top, none, none},
		{"low in a range", some, 15, 70, 1, gap{20, 25, true}, gap{40, 60, true}},
		{"high in a range", some, 0, 65, 1, gap{0, 10, true}, gap{40, 60, true}},
		{"both in one range", some, 12, 18, 1, none, none},
		{"both in a gap", some, 45, 50, 5, gap{45, 50, true}, gap{45, 50, true}},
		{"both in a gap, too large", some, 45, 50, 6, none, none},
		{"low in a gap", some, 5, 70, 5, gap{5, 10, true}, gap{40, 60, true}},
		{"low cuts the gap below size", some, 6, 70, 5, gap{20, 25, true}, gap{40, 60, true}},
		{"high cuts the gap below size", some, 0, 44, 5, gap{0, 10, true}, gap{20, 25, true}},
		{"high cuts the gap to size", some, 0, 45, 5, gap{0, 10, true}, gap{40, 45, true}},
		{"low is the end of a range", some, 20, 40, 5, gap{20, 25, true}, gap{20, 25, true}},
		{"high is the start of a range", some, 0, 25, 5, gap{0, 10, true}, gap{20, 25, true}},
		{"window is a gap", some, 20, 25, 5, gap{20, 25, true}, gap{20, 25, true}},
		{"window is a range", some, 10, 20, 1, none, none},
		{"window is touching ranges", some, 25, 40, 1, none, none},
		{"window above all", some, 100, 200, 100, gap{100, 200, true}, gap{100, 200, true}},
		{"window below all", some, 2, 8, 6, gap{2, 8, true}, gap{2, 8, true}},
		{"last byte only", some, top - 1, top, 1, gap{top - 1, top, true}, gap{top - 1, top, true}},
		{"full", []uint64{0, top}, 0, top, 1, none, none},
		{"no edges", []uint64{0, 10, 20, top}, 0, top, 10, gap{10, 20, true}, gap{10, 20, true}},
		{"no edges, too large", []uint64{0, 10, 20, top}, 0, top, 11, none, none},
		{"one byte free at 0", []uint64{1, top}, 0, top, 1, gap{0, 1, true}, gap{0, 1, true}},
		{"one byte free at the top", []uint64{0, top - 1}, 0, top, 1, gap{top - 1, top, true}, gap{top - 1, top, true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := of(t, test.set...)
			var up, down gap
			up.start, up.end, up.ok = s.GapUp(test.low, test.high, test.size)
			if up != test.up {
				t.Errorf("GapUp = %v, want %v", up, test.up)
			}
			down.start, down.end, down.ok = s.GapDown(test.low, test.high, test.size)
			if down != test.down {
				t.Errorf("GapDown = %v, want %v", down, test.down)
			}
		})
	}
}

func TestPanics(t *testing.T) {
	set := []uint64{10, 20, 30, 40, 40, 50}
	tests := map[string]func(*Set[int]){
		"insert empty":           func(s *Set[int]) { s.Insert(25, 25, 0) },
		"insert upside down":     func(s *Set[int]) { s.Insert(26, 25, 0) },
		"insert the same":        func(s *Set[int]) { s.Insert(10, 20, 0) },
		"insert over the start":  func(s *Set[int]) { s.Insert(5, 11, 0) },
		"insert over the end":    func(s *Set[int]) { s.Insert(49, 60, 0) },
		"insert within":          func(s *Set[int]) { s.Insert(12, 13, 0) },
		"insert around":          func(s *Set[int]) { s.Insert(5, 25, 0) },
		"remove from the middle": func(s *Set[int]) { s.Remove(15) },
		"remove above all":       func(s *Set[int]) { s.Remove(50) },
		"remove from empty":      func(*Set[int]) { new(Set[int]).Remove(0) },
		"update nothing":         func(s *Set[int]) { s.Update(15, 15, 20, 0) },
		"update empty set":       func(*Set[int]) { new(Set[int]).Update(0, 0, 1, 0) },
		"update to empty":        func(s *Set[int]) { s.Update(10, 12, 12, 0) },
		"update over the next":   func(s *Set[int]) { s.Update(10, 10, 31, 0) },
		"update over the last":   func(s *Set[int]) { s.Update(30, 19, 40, 0) },
		"update past the next":   func(s *Set[int]) { s.Update(10, 60, 70, 0) },
		"update below the last":  func(s *Set[int]) { s.Update(30, 0, 5, 0) },
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			s := of(t, set...)
			before := slices.Collect(s.All())
			if !panics(func() { f(s) }) {
				t.Error("no panic")
			}
			if err := s.CheckInvariants(); err != nil || !slices.Equal(before, slices.Collect(s.All())) {
				t.Error("the set changed:", err)
			}
		})
	}
}

// TestCheckInvariants breaks a tree in each way that CheckInvariants is to find.
func TestCheckInvariants(t *testing.T) {
	breaks := map[string]func(s *Set[int], leaf *node[int]){
		"len":           func(s *Set[int], _ *node[int]) { s.len++ },
		"len of none":   func(s *Set[int], _ *node[int]) { s.root = nil },
		"fill":          func(_ *Set[int], leaf *node[int]) { leaf.remove(0, leaf.n-1) },
		"overlap":       func(_ *Set[int], leaf *node[int]) { leaf.hi[0] = leaf.lo[1] + 1 },
		"empty range":   func(_ *Set[int], leaf *node[int]) { leaf.hi[1] = leaf.lo[1] },
		"bound":         func(s *Set[int], _ *node[int]) { s.root.hi[0]-- },
		"gap":           func(s *Set[int], _ *node[int]) { s.root.kids.gap[0]++ },
		"neither":       func(_ *Set[int], leaf *node[int]) { leaf.vals = nil },
		"depth":         func(s *Set[int], leaf *node[int]) { s.root.kids.kid[1] = leaf },
		"stale pointer": func(s *Set[int], leaf *node[int]) { s.root.kids.kid[fanout-1] = leaf },
		"ownership":     func(s *Set[int], _ *node[int]) { s.root.owner++ },
	}
	for name, f := range breaks {
		t.Run(name, func(t *testing.T) {
			p := newPair()
			if err := prefill(p, 2000, "random", 1); err != nil {
				t.Fatal(err)
			}
			leaf := p.set.root
			for leaf.kids != nil {
				leaf = leaf.kids.kid[0]
			}
			f(&p.set, leaf)
			if p.set.CheckInvariants() == nil {
				t.Error("not found")
			}
		})
	}
}

// TestNoAllocations holds the promise that a set of a steady size does not allocate.
func TestNoAllocations(t *testing.T) {
	s, starts := fragmented(60000)
	v := new(vma)
	i := 0
	if n := testing.AllocsPerRun(10000, func() {
		start := starts[i*7919%len(starts)] + 2*page
		i++
		s.Insert(start, start+page, v)
		s.Remove(start)
		s.Find(start)
		s.GapDown(0, start, 5*page)
		for range s.Range(start, start+20*page) {
		}
	}); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
	if err := s.CheckInvariants(); err != nil {
		t.Error(err)
	}
}

func ExampleSet_GapDown() {
	var s Set[string]
	s.Insert(0x1000, 0x2000, "text")
	s.Insert(0x6000, 0x7000, "stack")
	start, end, ok := s.GapDown(0, 0x7000, 0x3000)
	fmt.Printf("%#x %#x %v\n", start, end, ok)
	// Output: 0x2000 0x6000 true
}
