package hostarch

import "testing"

func TestRounding(t *testing.T) {
	const top = Addr(0xffff_ffff_ffff_f000)
	for _, tc := range []struct{ a, down, up Addr }{
		{0, 0, 0},
		{1, 0, 0x1000},
		{0xfff, 0, 0x1000},
		{0x1000, 0x1000, 0x1000},
		{0x1001, 0x1000, 0x2000},
		{top, top, top},
		{top + 1, top, 0}, // wraps, as PAGE_ALIGN does
	} {
		if got := tc.a.RoundDown(); got != tc.down {
			t.Errorf("%v down: %v, want %v", tc.a, got, tc.down)
		}
		if got := tc.a.RoundUp(); got != tc.up {
			t.Errorf("%v up: %v, want %v", tc.a, got, tc.up)
		}
		if got := PageAlign(uint64(tc.a)); got != uint64(tc.up) {
			t.Errorf("PageAlign(%v): %#x, want %v", tc.a, got, tc.up)
		}
	}
}

func TestRanges(t *testing.T) {
	r := Range(0x2000, 0x2000) // [2000,4000)
	for _, tc := range []struct {
		start, end        Addr
		overlaps, touches bool
	}{
		{0x0000, 0x1000, false, false},
		{0x0000, 0x2000, false, true}, // neighbour below
		{0x0000, 0x2001, true, true},
		{0x3000, 0x3001, true, true},  // inside
		{0x1000, 0x9000, true, true},  // around
		{0x4000, 0x5000, false, true}, // neighbour above
		{0x4001, 0x5000, false, false},
	} {
		o := AddrRange{tc.start, tc.end}
		if r.Overlaps(o) != tc.overlaps || o.Overlaps(r) != tc.overlaps {
			t.Errorf("%v overlaps %v: want %v", r, o, tc.overlaps)
		}
		if r.Touches(o) != tc.touches || o.Touches(r) != tc.touches {
			t.Errorf("%v touches %v: want %v", r, o, tc.touches)
		}
	}
	if !r.Contains(0x2000) || !r.Contains(0x3fff) || r.Contains(0x4000) || r.Contains(0x1fff) {
		t.Errorf("%v contains its start and not its end", r)
	}
	if r.Length() != 0x2000 || r.String() != "2000-4000" {
		t.Errorf("length %#x, %q", r.Length(), r)
	}
}
