package difftest

import (
	"math/rand/v2"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// The calls with fixed addresses meet in an arena, which is small, so that they do meet. It moves on
// from time to time, since what is sealed stays for ever.
const (
	arenaStart = 0x10000000000
	arenaStep  = 1 << 34
	arenaPages = 48
	arenaCalls = 400
	page       = hostarch.PageSize
	inf        = linux.RLIM_INFINITY
)

// free are soft limits that do not bite, as resources has them.
var free = [...]uint64{inf, inf, 8 << 20, inf}

// mostVMAs is how many VMAs a run has before it unmaps more than it maps, and mostProcs how many
// processes.
const (
	mostVMAs  = 90
	mostProcs = 5
)

// gen makes random calls that fit the state of a run.
type gen struct {
	rand      *rand.Rand
	x         *model
	protected []hostarch.AddrRange // the guest's own memory
	calls     int
	arena     uint64
	lim       bool // limits are set, and will be lifted
}

func (g *gen) m() *mm.MemoryManager { return g.x.now().m }

// safe reports whether a call on [addr, addr+length) leaves the guest's own memory alone.
func (g *gen) safe(addr, length uint64) bool {
	end := addr + hostarch.PageAlign(length)
	if end < addr {
		return true // nobody accepts that
	}
	for _, p := range g.protected {
		if uint64(p.Start) < end && addr < uint64(p.End) {
			return false
		}
	}
	return true
}

// allowed reports whether the guest survives the operation.
func (g *gen) allowed(o *op) bool {
	a := &o.args
	switch o.nr {
	case linux.SYS_MMAP:
		return a[3]&linux.MAP_FIXED == 0 || g.safe(a[0], a[1]+2<<20)
	case linux.SYS_MREMAP:
		return g.safe(a[0], max(a[1], a[2])) && g.safe(a[4], a[2])
	case linux.SYS_SHMAT:
		return a[1] == 0 || g.safe(a[1]&^4095, 2<<20)
	case linux.SYS_MUNMAP, linux.SYS_MPROTECT, linux.SYS_PKEY_MPROTECT, linux.SYS_MADVISE, linux.SYS_REMAP_FILE_PAGES, linux.SYS_MSEAL:
		return g.safe(a[0], a[1])
	case opTouch:
		return g.safe(a[0]&^(page-1), page)
	}
	return true
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
	for r := range g.m().All() {
		if !g.safe(uint64(r.Start), r.Length()) {
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
		return g.arena + 1<<30 + uint64(g.n(4))<<20 // around huge pages
	}
	return g.arena + uint64(g.n(arenaPages))*page
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

// next returns the next operation.
func (g *gen) next() op {
	for {
		if o := g.any(); g.allowed(&o) {
			return o
		}
	}
}

func (g *gen) any() op {
	g.arena = arenaStart + uint64(g.calls/arenaCalls)*arenaStep
	if g.calls++; g.calls%arenaCalls == 0 {
		return op{linux.SYS_MUNMAP, [6]uint64{g.arena, arenaPages * page}}
	}
	if g.lim && g.one(6) || !g.lim && g.one(30) {
		return g.limits()
	}
	if g.m().Totals().MapCount > mostVMAs && g.one(2) {
		a, _ := g.span()
		return op{linux.SYS_MUNMAP, [6]uint64{a, uint64(1+g.n(24)) * page}}
	}
	if o, ok := g.process(); ok {
		return o
	}
	switch n := g.n(100); {
	case n < 24:
		return g.mmap()
	case n < 30:
		a, l := g.span()
		return op{linux.SYS_MUNMAP, [6]uint64{a, l}}
	case n < 40:
		return g.mprotect()
	case n < 54:
		return g.mremap()
	case n < 66:
		return g.madvise()
	case n < 74:
		return g.lock()
	case n < 76:
		return op{linux.SYS_BRK, [6]uint64{g.brk()}}
	case n < 88:
		return g.touch()
	}
	return g.rare()
}

// process returns an operation that has to do with several processes, now and then.
func (g *gen) process() (op, bool) {
	switch n := uint64(len(g.x.procs)); {
	case n < mostProcs && g.one(250):
		return op{opFork, [6]uint64{uint64(g.n(2))}}, true
	case n > 1 && g.one(80):
		return op{opLook, [6]uint64{uint64(g.n(int(n)))}}, true
	case n > 1 && g.one(100):
		if to := g.n(int(n)); to != g.x.cur {
			return op{opSwitch, [6]uint64{uint64(to)}}, true
		}
	}
	return op{}, false
}

// touch accesses a page, often one below a stack.
func (g *gen) touch() op {
	o := op{opTouch, [6]uint64{g.addr(), uint64(g.n(2))}}
	if !g.one(3) {
		return o
	}
	n := 0
	for r, v := range g.m().All() {
		if v.Flags&mm.VM_GROWSDOWN == 0 {
			continue
		}
		if n++; g.one(n) {
			o.args[0] = uint64(r.Start) - uint64(1+g.n(int(g.pick(2, 6, 40, 300))))*page + uint64(g.n(page))
		}
	}
	return o
}

func (g *gen) mprotect() op {
	a, l := g.span()
	o := op{linux.SYS_MPROTECT, [6]uint64{a, l, g.prot()}}
	if g.one(15) {
		o.args[2] |= linux.PROT_GROWSDOWN
	}
	if g.one(15) {
		o.nr, o.args[3] = linux.SYS_PKEY_MPROTECT, g.pick(^uint64(0), ^uint64(0), 0, 1, 15, 16)
	}
	return o
}

func (g *gen) brk() uint64 {
	b := g.m().BrkRange()
	if g.one(10) {
		return g.addr()
	}
	if g.one(3) {
		return uint64(b.End) - uint64(g.n(3*page))
	}
	return uint64(b.End) + uint64(g.n(4*page))
}

// limits sets a limit near what is used, or lifts one. The soft limits are set by the process itself
// or from outside, which can also raise hard ones.
func (g *gen) limits() op {
	t, p := g.m().Totals(), g.x.now()
	g.lim = !g.lim
	i := g.n(len(resources))
	if !g.lim {
		for j, r := range resources { // those that bite
			if soft, _ := p.soft(r); *soft != min(free[j], p.hard[j]) && g.n(3) != 0 {
				i = j
			}
		}
		return op{opLimit, [6]uint64{resources[i], min(free[i], p.hard[i]), p.hard[i]}}
	}
	o := op{opLimit, [6]uint64{resources[i], 0, p.hard[i]}}
	a := &o.args
	used := [...]uint64{t.TotalVM, t.DataVM, 33, t.LockedVM}[i]
	a[1] = min((used+uint64(g.n(8)))*page+uint64(g.n(2))*100, a[2])
	switch g.n(16) {
	case 0, 1:
		a[1] = 0 // for RLIMIT_DATA the hard limit counts then
	case 2:
		a[2] = a[1] + uint64(g.n(40))*page // may raise or lower the hard limit
	case 3:
		a[2] = uint64(g.n(int(a[1] + 1))) // below the soft one
	}
	if !g.one(3) {
		o.nr = g.pick(linux.SYS_PRLIMIT64, linux.SYS_SETRLIMIT)
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
	a[4] = noFile
	if g.n(3) != 0 {
		a[3] |= linux.MAP_ANONYMOUS
		switch {
		case g.one(12):
			a[3] = a[3]&^linux.MAP_TYPE | linux.MAP_PRIVATE | linux.MAP_GROWSDOWN
		case g.one(40):
			a[3] |= linux.MAP_HUGETLB | g.pick(0, 0, 21, 30, 16, 12)<<linux.MAP_HUGE_SHIFT
			a[1] = g.pick(1, 2, 4, 3)<<20 - uint64(g.n(2))
		}
		return o
	}
	if g.one(60) {
		a[3] |= linux.MAP_HUGETLB
	}
	if a[3]&linux.MAP_FIXED != 0 {
		a[3] &^= linux.MAP_SYNC // refused by the filesystem when the old mappings are gone already
	}
	a[4] = uint64(g.n(len(g.x.files)))
	a[5] = uint64(g.n(4)) * page
	if g.one(60) {
		a[5] = g.pick(1, 1<<63, 1<<62, ^uint64(0)&^(page-1))
	}
	return o
}

func (g *gen) mremap() op {
	a, l := g.span()
	if g.one(6) { // several VMAs and the gaps between them
		n := 1 + g.n(4)
		for r := range g.m().All() {
			if uint64(r.Start) > a && n > 0 && uint64(r.End)-a < arenaPages*page {
				l = uint64(r.End) - a - uint64(g.n(2))*page
				n--
			}
		}
		l = max(l, page)
		return op{linux.SYS_MREMAP, [6]uint64{a, l, l, linux.MREMAP_MAYMOVE | linux.MREMAP_FIXED | g.flags(5, linux.MREMAP_DONTUNMAP), g.addr()}}
	}
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
	switch g.n(17) {
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
		return op{linux.SYS_SHMAT, [6]uint64{uint64(g.n(len(g.x.segs))), at, f}}
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
		for r, v := range g.m().All() {
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
	switch g.n(4) {
	case 0:
		return op{linux.SYS_PKEY_ALLOC, [6]uint64{g.flags(6, 1), g.pick(0, 0, 1, 2, 3, 4)}}
	case 1:
		return op{linux.SYS_PKEY_FREE, [6]uint64{g.pick(0, 1, 15, 16, ^uint64(0))}}
	case 2:
		p := g.x.now().c.Personality &^ linux.READ_IMPLIES_EXEC
		if g.one(3) {
			p |= linux.READ_IMPLIES_EXEC
		}
		return op{linux.SYS_PERSONALITY, [6]uint64{g.pick(p, p, p, linux.PERSONALITY_QUERY)}}
	}
	return op{linux.SYS_MAP_SHADOW_STACK, [6]uint64{a, l, uint64(g.n(3))}}
}
