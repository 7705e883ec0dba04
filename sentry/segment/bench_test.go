package segment

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// page is the unit of the benchmarks' layouts.
const page = 4096

var sizes = []int{10, 1000, 60000}

// vma stands for a value that is a pointer.
type vma struct{ _ [16]uint64 }

// fragmented returns a set of n ranges of 2 pages, inserted in random order, with gaps of 1 to 7
// pages between them. So most address searches meet gaps that are too small.
func fragmented(n int) (*Set[*vma], []uint64) {
	rng := rand.New(rand.NewPCG(1, 2))
	starts := make([]uint64, n)
	at := uint64(16 * page)
	for i := range starts {
		starts[i] = at
		at += 2*page + (1+rng.Uint64N(7))*page
	}
	s := new(Set[*vma])
	v := new(vma)
	for _, i := range rng.Perm(n) {
		s.Insert(starts[i], starts[i]+2*page, v)
	}
	return s, starts
}

// bench runs f for each size. f gets i, which counts up, and a start of a range chosen at random.
func bench(b *testing.B, f func(s *Set[*vma], starts []uint64, i int, start uint64)) {
	for _, n := range sizes {
		b.Run(fmt.Sprint("n=", n), func(b *testing.B) {
			s, starts := fragmented(n)
			rng := rand.New(rand.NewPCG(3, 4))
			order := make([]uint64, 1<<16)
			for i := range order {
				order[i] = starts[rng.IntN(n)]
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f(s, starts, i, order[i%len(order)])
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	bench(b, func(s *Set[*vma], _ []uint64, _ int, start uint64) {
		if g, ok := s.Find(start - 1); !ok || g.End <= start-1 {
			b.Fatal(g)
		}
	})
}

func BenchmarkAt(b *testing.B) {
	bench(b, func(s *Set[*vma], _ []uint64, _ int, start uint64) {
		if g, ok := s.At(start + page); !ok || g.Start != start {
			b.Fatal(g)
		}
	})
}

func BenchmarkPrev(b *testing.B) {
	bench(b, func(s *Set[*vma], _ []uint64, _ int, start uint64) {
		s.Prev(start)
	})
}

// BenchmarkGapDown searches below a random address, so that each search starts elsewhere.
func BenchmarkGapDown(b *testing.B) {
	for _, pages := range []uint64{1, 7} {
		b.Run(fmt.Sprint("pages=", pages), func(b *testing.B) {
			bench(b, func(s *Set[*vma], _ []uint64, _ int, start uint64) {
				s.GapDown(0, start+1, pages*page)
			})
		})
	}
}

// BenchmarkGapDownNone is the worst case: no gap is large enough but the edge at the very bottom.
func BenchmarkGapDownNone(b *testing.B) {
	bench(b, func(s *Set[*vma], starts []uint64, _ int, start uint64) {
		if _, _, ok := s.GapDown(0, start+1, 9*page); !ok {
			b.Fatal("none")
		}
	})
}

func BenchmarkGapUp(b *testing.B) {
	bench(b, func(s *Set[*vma], _ []uint64, _ int, start uint64) {
		s.GapUp(start, top, 7*page)
	})
}

// BenchmarkInsertRemove is mmap and munmap of one page next to a random range.
func BenchmarkInsertRemove(b *testing.B) {
	v := new(vma)
	bench(b, func(s *Set[*vma], _ []uint64, _ int, start uint64) {
		s.Insert(start+2*page, start+3*page, v)
		s.Remove(start + 2*page)
	})
}

// BenchmarkRemoveInsertFar removes random ranges, and puts each back when half of all are away, so
// that nodes fill and drain, split and merge.
func BenchmarkRemoveInsertFar(b *testing.B) {
	v := new(vma)
	var of *Set[*vma]
	var away []uint64 // a ring; 0 is a free place
	next := 0
	bench(b, func(s *Set[*vma], starts []uint64, _ int, start uint64) {
		if s != of {
			of, away, next = s, make([]uint64, len(starts)/2), 0
		}
		if _, ok := s.At(start); !ok {
			return
		}
		s.Remove(start)
		if back := away[next]; back != 0 {
			s.Insert(back, back+2*page, v)
		}
		away[next] = start
		next = (next + 1) % len(away)
	})
}

func BenchmarkUpdate(b *testing.B) {
	v := new(vma)
	bench(b, func(s *Set[*vma], _ []uint64, i int, start uint64) {
		s.Update(start, start, start+page+page*uint64(i&1), v)
	})
}

// BenchmarkGrowDown is top-down mmap into an empty set.
func BenchmarkGrowDown(b *testing.B) {
	var s Set[*vma]
	v := new(vma)
	const first = uint64(1) << 47
	at := first
	b.ReportAllocs()
	for b.Loop() {
		if s.Len() == 60000 {
			s, at = Set[*vma]{}, first
		}
		at -= 2 * page
		s.Insert(at, at+page, v)
	}
}

func BenchmarkClone(b *testing.B) {
	var c Set[*vma]
	bench(b, func(s *Set[*vma], _ []uint64, _ int, _ uint64) {
		c = s.Clone()
	})
	runtime.KeepAlive(&c)
}

// BenchmarkCloneWrite is the first write to a set after a clone was taken.
func BenchmarkCloneWrite(b *testing.B) {
	var c Set[*vma]
	v := new(vma)
	bench(b, func(s *Set[*vma], _ []uint64, _ int, start uint64) {
		c = s.Clone()
		s.Update(start, start, start+2*page, v)
	})
	runtime.KeepAlive(&c)
}

func BenchmarkAll(b *testing.B) {
	bench(b, func(s *Set[*vma], starts []uint64, _ int, _ uint64) {
		n := 0
		for range s.All() {
			n++
		}
		if n != len(starts) {
			b.Fatal(n)
		}
	})
}

// BenchmarkMemory reports the bytes that a range takes, of which 24 are its bounds and its pointer.
func BenchmarkMemory(b *testing.B) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, n := range sizes {
		b.Run(fmt.Sprint("n=", n), func(b *testing.B) {
			for b.Loop() { // The figure is not a time.
			}
			before := heap()
			s, _ := fragmented(n)
			b.ReportMetric(float64(heap()-before)/float64(n), "B/range")
			runtime.KeepAlive(s)
		})
	}
}
