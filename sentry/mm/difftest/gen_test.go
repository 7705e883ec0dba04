//go:build linux && amd64

package difftest

import (
	"math/rand/v2"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// arena is where the calls with fixed addresses meet; it is small, so that they do meet.
const (
	arena      = 0x10000000000
	arenaPages = 48
	page       = hostarch.PageSize
)

// gen makes random calls that fit the state of a run.
type gen struct {
	rand *rand.Rand
	r    *run
	lim  bool // limits are set, and will be lifted
}

func (g *gen) n(n int) int             { return g.rand.IntN(n) }
func (g *gen) one(in int) bool         { return g.rand.IntN(in) == 0 }
func (g *gen) pick(v ...uint64) uint64 { return v[g.rand.IntN(len(v))] }

// flags returns each of the flags with the probability 1/in.
func (g *gen) flags(in int, v ...uint64) (f uint64) {
	for _, x := range v {
		if g.one(in) {
			f |= x
		}
	}
	return f
}

// vma returns the range of a random VMA that the calls made.
func (g *gen) vma() (hostarch.AddrRange, bool) {
	var found hostarch.AddrRange
	n := 0
	for r := range g.r.m.All() {
		if !g.r.safe(uint64(r.Start), r.Length()) {
			continue
		}
		n++
		if g.one(n) {
			found = r
		}
	}
	return found, n > 0
}

// addr returns an address: in the arena, or at or near a VMA.
func (g *gen) addr() uint64 {
	if r, ok := g.vma(); ok && g.n(4) != 0 {
		pages := int64(r.Length() / page)
		off := g.rand.Int64N(min(pages, 12) + 1)
		switch g.n(6) {
		case 0, 1:
			off = 0
		case 2:
			off = pages
		case 3:
			off = -1
		}
		a := uint64(r.Start) + uint64(off)*page
		if g.one(40) {
			a += uint64(g.n(page))
		}
		return a
	}
	if g.one(60) {
		return g.pick(0, page, 1<<47-page, 1<<47, 1<<63, ^uint64(0)&^(page-1), 0x1000000)
	}
	if g.one(12) {
		return arena + 1<<30 + uint64(g.n(4))<<20 // around huge pages
	}
	return arena + uint64(g.n(arenaPages))*page
}

// length returns a length in bytes.
func (g *gen) length() uint64 {
	switch {
	case g.one(60):
		return g.pick(0, ^uint64(0), 1<<47, 1<<63, ^uint64(0)&^(page-1)) // nothing that could be had, and locked
	case g.one(12):
		return g.pick(1, page-1, page+1, 100)
	case g.one(12):
		return g.pick(2<<20, 4<<20, 2<<20+page, 1<<20)
	case g.one(5):
		if r, ok := g.vma(); ok {
			return r.Length()
		}
	}
	return uint64(1+g.n(8)) * page
}

// span returns a range that often fits a VMA exactly.
func (g *gen) span() (addr, length uint64) {
	if r, ok := g.vma(); ok && g.one(3) {
		return uint64(r.Start), r.Length()
	}
	return g.addr(), g.length()
}

func (g *gen) prot() uint64 {
	if g.one(30) {
		return uint64(g.n(16)) | g.flags(4, linux.PROT_GROWSDOWN, linux.PROT_GROWSUP, 1<<8)
	}
	return g.pick(0, 1, 3, 3, 3, 3, 5, 7, 2, 4)
}

// next returns the next call.
func (g *gen) next() op {
	if g.lim && g.one(6) || !g.lim && g.one(40) {
		return g.limits()
	}
	switch n := g.n(100); {
	case n < 26:
		return g.mmap()
	case n < 33:
		a, l := g.span()
		return op{linux.SYS_MUNMAP, [6]uint64{a, l}}
	case n < 43:
		a, l := g.span()
		return op{linux.SYS_MPROTECT, [6]uint64{a, l, g.prot()}}
	case n < 60:
		return g.mremap()
	case n < 74:
		return g.madvise()
	case n < 83:
		return g.lock()
	case n < 86:
		return op{linux.SYS_BRK, [6]uint64{g.brk()}}
	}
	return g.rare()
}

func (g *gen) brk() uint64 {
	b := g.r.m.BrkRange()
	if g.one(10) {
		return g.addr()
	}
	if g.one(3) {
		return uint64(b.End) - uint64(g.n(3*page))
	}
	return uint64(b.End) + uint64(g.n(4*page))
}

// limits sets limits near what is used, or lifts them.
func (g *gen) limits() op {
	inf := linux.RLIM_INFINITY
	o := op{setLimit, [6]uint64{inf, inf, inf}}
	g.lim = !g.lim
	if !g.lim {
		return o
	}
	t := g.r.m.Totals()
	for i, used := range []uint64{t.TotalVM, t.DataVM, t.LockedVM} {
		if g.one(2) {
			o.args[i] = (used+uint64(g.n(8)))*page + uint64(g.n(2))*100
		}
	}
	if g.one(5) {
		o.args[2] = 0
	}
	return o
}

func (g *gen) mmap() op {
	o := op{nr: linux.SYS_MMAP}
	a := &o.args
	a[1], a[2] = g.length(), g.prot()
	if g.n(3) != 0 {
		a[0] = g.addr()
	}
	a[3] = g.pick(linux.MAP_PRIVATE, linux.MAP_PRIVATE, linux.MAP_PRIVATE, linux.MAP_SHARED)
	if g.one(20) {
		a[3] = g.pick(linux.MAP_SHARED_VALIDATE, linux.MAP_DROPPABLE, 0, 9)
	}
	a[3] |= g.flags(8, linux.MAP_LOCKED, linux.MAP_POPULATE, linux.MAP_NORESERVE) |
		g.flags(25, linux.MAP_GROWSDOWN, linux.MAP_STACK, linux.MAP_32BIT, linux.MAP_NONBLOCK,
			linux.MAP_ABOVE4G, linux.MAP_FIXED_NOREPLACE, linux.MAP_SYNC)
	if a[0] != 0 && g.n(3) != 0 {
		a[3] |= linux.MAP_FIXED
	}
	if g.n(3) != 0 {
		a[3] |= linux.MAP_ANONYMOUS
		return o
	}
	if a[3]&linux.MAP_FIXED != 0 {
		a[3] &^= linux.MAP_SYNC // refused by the filesystem when the old mappings are gone already
	}
	a[4] = uint64(1 + g.n(len(g.r.w.files)))
	a[5] = uint64(g.n(4)) * page
	if g.one(60) {
		a[5] = g.pick(1, 1<<63, 1<<62, ^uint64(0)&^(page-1))
	}
	return o
}

func (g *gen) mremap() op {
	a, l := g.span()
	o := op{linux.SYS_MREMAP, [6]uint64{a, l, l, linux.MREMAP_MAYMOVE, 0}}
	switch g.n(4) {
	case 0:
		o.args[2] = g.length()
	case 1:
		o.args[2] = l + uint64(1+g.n(4))*page
	case 2:
		if l > page {
			o.args[2] = page * uint64(1+g.n(int(min(l/page, 16))))
		}
	}
	if g.one(12) {
		o.args[1] = 0
	}
	if g.one(8) {
		o.args[3] = 0
	}
	if g.one(2) {
		o.args[3] |= linux.MREMAP_FIXED
		o.args[4] = g.addr()
	}
	if g.one(5) {
		o.args[3] |= linux.MREMAP_DONTUNMAP
		if g.n(8) != 0 {
			o.args[2] = o.args[1]
		}
		if g.one(2) {
			o.args[4] = g.addr()
		}
	}
	if g.one(60) {
		o.args[3] = uint64(g.n(16))
	}
	return o
}

func (g *gen) madvise() op {
	a, l := g.span()
	adv := g.pick(0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)
	if g.one(4) {
		adv = g.pick(3, 4, 8, 9, 20, 21, 22, 23, 24, 102, 103)
	}
	if g.one(50) {
		adv = uint64(g.n(30))
	}
	if adv == linux.MADV_COLLAPSE {
		adv = 0
	}
	return op{linux.SYS_MADVISE, [6]uint64{a, l, adv}}
}

func (g *gen) lock() op {
	a, l := g.span()
	switch g.n(8) {
	case 0, 1, 2:
		return op{linux.SYS_MLOCK, [6]uint64{a, l}}
	case 3:
		return op{linux.SYS_MLOCK2, [6]uint64{a, l, uint64(g.n(3))}}
	case 4:
		if g.one(2) {
			return op{linux.SYS_MLOCKALL, [6]uint64{uint64(g.n(9))}}
		}
		return op{nr: linux.SYS_MUNLOCKALL}
	}
	return op{linux.SYS_MUNLOCK, [6]uint64{a, l}}
}

func (g *gen) rare() op {
	a, l := g.span()
	switch g.n(14) {
	case 0, 1:
		return op{linux.SYS_MSYNC, [6]uint64{a, l, uint64(g.n(9))}}
	case 2:
		return op{linux.SYS_REMAP_FILE_PAGES, [6]uint64{a, l, g.flags(20, 1), uint64(g.n(6)), g.flags(4, linux.MAP_NONBLOCK)}}
	case 3, 4:
		f := g.flags(3, linux.SHM_RDONLY, linux.SHM_REMAP, linux.SHM_RND) | g.flags(8, linux.SHM_EXEC)
		at := g.addr()
		if g.one(2) {
			at = 0
		}
		return op{linux.SYS_SHMAT, [6]uint64{g.r.w.segs[g.n(len(g.r.w.segs))].Ino, at, f}}
	case 5:
		return op{linux.SYS_SHMDT, [6]uint64{a}}
	case 6:
		if !g.one(4) {
			return g.mmap()
		}
		return op{linux.SYS_MSEAL, [6]uint64{a, l, g.flags(10, 1)}}
	case 7, 8:
		mode := g.pick(0, 1, 2, 3, 4, 5, 6, 7)
		mode |= g.flags(20, 1<<13, 1<<14, 1<<15)
		return op{linux.SYS_MBIND, [6]uint64{a, l, mode, 0, 0, g.flags(6, 1, 2, 4, 8)}}
	case 9:
		return op{linux.SYS_SET_MEMPOLICY_HOME_NODE, [6]uint64{a, l, 0, g.flags(10, 1)}}
	case 10:
		return op{linux.SYS_IO_SETUP, [6]uint64{g.pick(0, 1, 8, 60, 100, 200)}}
	case 11:
		// The kernel reads the ring, so that elsewhere this would touch memory.
		for r, v := range g.r.m.All() {
			if v.File != nil && v.File.Kind == mm.Ring {
				return op{linux.SYS_IO_DESTROY, [6]uint64{uint64(r.Start)}}
			}
		}
		return g.mmap()
	case 12:
		switch g.n(4) {
		case 0:
			return op{linux.SYS_PRCTL, [6]uint64{linux.PR_SET_MEMORY_MERGE, uint64(g.n(2)), g.flags(10, 1)}}
		case 1:
			return op{linux.SYS_PRCTL, [6]uint64{linux.PR_SET_THP_DISABLE, uint64(g.n(2)), uint64(g.n(3)), g.flags(10, 1)}}
		case 2:
			if g.one(4) {
				return op{linux.SYS_PRCTL, [6]uint64{linux.PR_SET_MDWE, uint64(g.n(5)), g.flags(10, 1)}}
			}
		}
		return op{linux.SYS_PRCTL, [6]uint64{g.pick(linux.PR_GET_MDWE, linux.PR_GET_MEMORY_MERGE), g.flags(10, 1)}}
	}
	return op{linux.SYS_MAP_SHADOW_STACK, [6]uint64{a, l, uint64(g.n(3))}}
}
