package mm

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// newLegacy returns an address space of the Legacy layout. Its base is TASK_UNMAPPED_BASE, a third
// of the task size; with low, there is a VMA below it, as a program that is not
// position-independent has.
func newLegacy(t *testing.T, low bool) (m *MemoryManager, c *Caller, base hostarch.Addr) {
	t.Helper()
	m, c = newCore(t, coreConfig())
	m.SetLayout(Legacy)
	if base = m.MmapBase(); base != 0x2aaaaaaab000 {
		t.Fatalf("TASK_UNMAPPED_BASE is %v", base)
	}
	if low {
		m.MMap(c, MMapArgs{Addr: 0x400000, Length: pg, Prot: 1, Flags: fixed})
	}
	return m, c, base
}

// TestLegacySearch follows arch_get_unmapped_area and its two variables step by step. The values
// were worked out by hand from the seed's text; positions are pages from TASK_UNMAPPED_BASE.
func TestLegacySearch(t *testing.T) {
	const (
		any    = ^uint64(0) // cached_hole_size after an munmap
		toTop  = 0          // as much as is free below the stack
		mmap   = "mmap"
		munmap = "munmap"
		at     = "mmap at"
	)
	type step struct {
		call        string
		addr, pages uint64 // addr: of munmap, or the hint
		want        uint64 // where mmap maps
		errno       linux.Errno
		cache, hole uint64 // free_area_cache and cached_hole_size afterwards
		why         string
	}
	m, c, base := newLegacy(t, false)
	top := hostarch.Pages(uint64(testStack.Start - base))
	for i, s := range []step{
		{mmap, 0, 4, 0, 0, 4, 0, "4 > hole 0: from the cache, which is the base; no VMA: fits"},
		{mmap, 0, 3, 4, 0, 7, 0, "from the cache"},
		{mmap, 0, 5, 7, 0, 12, 0, "from the cache"},
		{munmap, 4, 3, 0, 0, 4, any, "a hole below the cache: the VMA below it ends at 4"},
		{mmap, 0, 2, 4, 0, 6, 0, "2 <= hole: from the base, hole 0; [0,4) is passed without a hole; 4+2 <= 7"},
		{mmap, 0, 2, 12, 0, 14, 1, "2 > 0: from 6; the hole [6,7) is too small, and remembered"},
		{mmap, 0, 1, 6, 0, 7, 0, "1 <= 1: from the base; [6,7) is the first fit"},
		{munmap, 0, 1, 0, 0, 0, any, "no VMA below: the new hole starts at mmap_base"},
		{mmap, 0, 3, 14, 0, 17, 1, "from the base; [0,1) is too small, and remembered"},
		{mmap, 0, 1, 0, 0, 1, 0, "1 <= 1: from the base, where it fits"},
		{mmap, 0, 2, 17, 0, 19, 0, "2 > 0: from 1; no hole on the way to 17"},
		{at, 30, 2, 30, 0, 19, 0, "a free hint is honoured and moves no cache"},
		{at, 31, 2, 19, 0, 21, 0, "a hint that is taken counts for nothing"},
		{mmap, 0, 10, 32, 0, 42, 9, "from 21: the hole [21,30) is too small, and remembered"},
		{mmap, 0, 9, 21, 0, 30, 0, "9 <= 9: from the base; first fit [21,30)"},
		{mmap, 0, toTop, 42, 0, top, 0, "all that is left, up to the stack"},
		{mmap, 0, 1, 0, linux.ENOMEM, top, 0, "from the cache to the end, then all over from the base: nothing"},
		{munmap, 5, 1, 0, 0, 5, any, "a hole in the middle"},
		{mmap, 0, 2, 0, linux.ENOMEM, 5, 1, "from the base, and no second time; the hole [5,6) is remembered"},
		{mmap, 0, 2, 0, linux.ENOMEM, 5, 1, "2 > 1: from the cache to the end, and all over from the base, which finds that hole again"},
		{mmap, 0, 1, 5, 0, 6, 0, "1 <= 1: from the base; first fit [5,6)"},
	} {
		var res Result
		pages := s.pages
		if s.pages == toTop {
			pages = top - 42
		}
		switch s.call {
		case munmap:
			res = m.MUnmap(c, base+hostarch.Addr(s.addr*pg), pages*pg)
		case mmap:
			res = m.MMap(c, MMapArgs{Length: pages * pg, Prot: rw, Flags: private})
		case at:
			res = m.MMap(c, MMapArgs{Addr: base + hostarch.Addr(s.addr*pg), Length: pages * pg, Prot: rw, Flags: private})
		}
		if s.errno == 0 && s.call != munmap && res.Addr != base+hostarch.Addr(s.want*pg) || res.Errno != s.errno {
			t.Fatalf("step %d, %s %d: %v %s; %s", i, s.call, pages, res.Addr, res.Errno.Name(), s.why)
		}
		hole := s.hole
		if hole != any {
			hole *= pg
		}
		if got, want := m.legacy, (legacySearch{uint64(base) + s.cache*pg, hole}); got != want {
			t.Fatalf("step %d, %s %d: %+v, want %+v; %s", i, s.call, pages, got, want, s.why)
		}
		if err := m.CheckInvariants(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLegacyFullSearch: with a VMA below the base, a hole at the base is not noticed when it comes
// into being (arch_unmap_area looks at where the VMA below ends), and only a search that has met the
// end of user addresses finds it.
func TestLegacyFullSearch(t *testing.T) {
	m, c, base := newLegacy(t, true)
	all := uint64(testStack.Start - base)
	if res := m.MMap(c, MMapArgs{Length: all, Prot: rw, Flags: private}); res.Addr != base {
		t.Fatalf("%+v", res)
	}
	full := m.legacy
	m.MUnmap(c, base, pg)
	if m.legacy != full {
		t.Errorf("munmap at the base: %+v", m.legacy)
	}
	if res := m.MMap(c, MMapArgs{Length: pg, Prot: rw, Flags: private}); res.Addr != base || m.legacy.freeAreaCache != uint64(base)+pg {
		t.Errorf("%+v, then %+v", res, m.legacy)
	}
}

// TestLegacyOtherCalls: what else moves the search, and what does not.
func TestLegacyOtherCalls(t *testing.T) {
	m, c, base := newLegacy(t, true)
	b := uint64(base)
	page := func(n uint64) hostarch.Addr { return base + hostarch.Addr(n*pg) }
	expect := func(what string, res Result, addr hostarch.Addr, want legacySearch) {
		t.Helper()
		if res.Errno != 0 || res.Addr != addr || m.legacy != want {
			t.Errorf("%s: %v %s, %+v; want %v, %+v", what, res.Addr, res.Errno.Name(), m.legacy, addr, want)
		}
	}
	anon := func(addr hostarch.Addr, pages, flags uint64) Result {
		return m.MMap(c, MMapArgs{Addr: addr, Length: pages * pg, Prot: rw, Flags: private | flags})
	}
	const huge = hostarch.HugePageSize / pg
	expect("no alignment for huge pages", anon(0, huge, 0), base, legacySearch{b + huge*pg, 0})
	end := legacySearch{b + huge*pg, 0}
	expect("a fixed address", anon(page(1000), 1, linux.MAP_FIXED), page(1000), end)
	expect("a hint below the stack, where no guard is known", anon(testStack.Start-pg, 1, 0), testStack.Start-pg, end)
	expect("a hint that is rounded up", anon(page(2000)+1, 1, 0), page(2000), end)
	expect("MAP_32BIT has its own range", anon(0, 1, linux.MAP_32BIT), low32Start, end)
	expect("brk", m.Brk(c, testBrk+pg), testBrk+pg, end)
	expect("brk that shrinks", m.Brk(c, testBrk), testBrk, end)
	expect("mremap that moves", m.MRemap(c, page(1000), pg, 2*pg, linux.MREMAP_MAYMOVE, 0), page(1000), end)
	anon(page(1002), 1, linux.MAP_FIXED)
	expect("mremap that has to move", m.MRemap(c, page(1000), 2*pg, 3*pg, linux.MREMAP_MAYMOVE, 0), page(huge), legacySearch{b + (huge+3)*pg, 0})
	expect("a fixed address on top of others", anon(page(2), 1, linux.MAP_FIXED), page(2), legacySearch{b + 2*pg, anyHole})
	n := m.Fork()
	if want := (legacySearch{b, anyHole}); n.legacy != want {
		t.Errorf("a fork has %+v, want %+v", n.legacy, want)
	}
}

// TestSetLayout: each layout's base follows from the other's.
func TestSetLayout(t *testing.T) {
	m, _ := newCore(t, coreConfig())
	m.SetLayout(BottomUp)
	if m.Layout() != BottomUp || m.MmapBase() != 0x2aaaaaaab000 {
		t.Errorf("%v from %v", m.Layout(), m.MmapBase())
	}
	m.SetLayout(TopDown)
	if m.Layout() != TopDown || m.MmapBase() != testBase {
		t.Errorf("%v from %v", m.Layout(), m.MmapBase())
	}
}
