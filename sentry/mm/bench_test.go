package mm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
)

// crowd maps n VMAs of two pages below mmap_base, with gaps of one to seven pages between them, and
// returns their starts, highest first.
//
//	... ──[rw]─...─[rw]──[rw]────[rw]─┤ mmap_base
func crowd(b *testing.B, n int) (m *MemoryManager, c *Caller, starts []hostarch.Addr) {
	b.Helper()
	m, c = newCore(b, coreConfig())
	rng := rand.New(rand.NewPCG(1, 2))
	addr := testBase
	for range n {
		addr -= hostarch.Addr(3+rng.Uint64N(7)) * pg
		if res := m.MMap(c, MMapArgs{Addr: addr, Length: 2 * pg, Prot: rw, Flags: private | fixed}); res.Errno != 0 {
			b.Fatal(res.Errno)
		}
		starts = append(starts, addr)
	}
	return m, c, starts
}

// amongMany runs f among few VMAs, many, and nearly as many as Linux allows. at is one of them, at random.
func amongMany(b *testing.B, f func(b *testing.B, m *MemoryManager, c *Caller, at hostarch.Addr)) {
	for _, n := range []int{10, 1000, 60000} {
		b.Run(fmt.Sprintf("vmas=%d", n), func(b *testing.B) {
			m, c, starts := crowd(b, n)
			rng := rand.New(rand.NewPCG(3, 4))
			order := make([]hostarch.Addr, 1<<12)
			for i := range order {
				order[i] = starts[rng.IntN(n)]
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f(b, m, c, order[i%len(order)])
			}
			if err := m.CheckInvariants(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkMMapMUnmap: the search finds a gap that is large enough among many that are not quite.
func BenchmarkMMapMUnmap(b *testing.B) {
	amongMany(b, func(b *testing.B, m *MemoryManager, c *Caller, _ hostarch.Addr) {
		res := m.MMap(c, MMapArgs{Length: 8 * pg, Prot: rw, Flags: private})
		if res.Errno != 0 || m.MUnmap(c, res.Addr, 8*pg).Errno != 0 {
			b.Fatal(res)
		}
	})
}

// BenchmarkMMapMUnmapWithin: the gap is between others, and what is mapped merges with a neighbour.
func BenchmarkMMapMUnmapWithin(b *testing.B) {
	amongMany(b, func(b *testing.B, m *MemoryManager, c *Caller, _ hostarch.Addr) {
		res := m.MMap(c, MMapArgs{Length: pg, Prot: rw, Flags: private})
		if res.Errno != 0 || m.MUnmap(c, res.Addr, pg).Errno != 0 {
			b.Fatal(res)
		}
	})
}

// BenchmarkMProtect splits a VMA, and merges it again.
func BenchmarkMProtect(b *testing.B) {
	amongMany(b, func(b *testing.B, m *MemoryManager, c *Caller, at hostarch.Addr) {
		if m.MProtect(c, at, pg, 1, -1).Errno != 0 || m.MProtect(c, at, pg, rw, -1).Errno != 0 {
			b.Fatal(at)
		}
	})
}

// BenchmarkGetUnmappedArea is the search alone.
func BenchmarkGetUnmappedArea(b *testing.B) {
	amongMany(b, func(b *testing.B, m *MemoryManager, c *Caller, _ hostarch.Addr) {
		if _, errno, _, _ := m.areaFor(c, areaRequest{length: 8 * pg, flags: private}); errno != 0 {
			b.Fatal(errno)
		}
	})
}

// BenchmarkFork is what a fork costs before either side writes.
func BenchmarkFork(b *testing.B) {
	amongMany(b, func(b *testing.B, m *MemoryManager, _ *Caller, _ hostarch.Addr) {
		if m.Fork() == nil {
			b.Fatal()
		}
	})
}

// BenchmarkForkWrite is what it costs with the first mprotect of the child, at random.
func BenchmarkForkWrite(b *testing.B) {
	amongMany(b, func(b *testing.B, m *MemoryManager, c *Caller, at hostarch.Addr) {
		if m.Fork().MProtect(c, at, pg, 1, -1).Errno != 0 {
			b.Fatal(at)
		}
	})
}
