package mm

import (
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// Random calls, which often meet what former ones have left.

// dice returns a number in [0, n): from a random generator, from the bytes of a fuzzer, or from rapid.
type dice func(n int) int

func (d dice) one(of ...uint64) uint64 { return of[d(len(of))] }

// rarely returns 0, but for once in n times.
func (d dice) rarely(n int, otherwise func() uint64) uint64 {
	if d(n) != 0 {
		return 0
	}
	return otherwise()
}

// generator makes calls in a world.
type generator struct {
	d dice
	w *world
	p *pair // whose VMAs the calls often mean
}

// page is the number of a page where something may be.
func (g *generator) page() uint64 {
	d, w := g.d, g.w
	switch d(16) {
	case 0:
		return w.heap + uint64(d(12))
	case 1:
		return w.base - 12 + uint64(d(16))
	case 2:
		return w.stack - 10 + uint64(d(16))
	case 3:
		return w.vdso + uint64(d(2))
	case 4:
		return w.base/2 + uint64(d(40))
	case 5:
		return uint64(d(14))
	case 6:
		if w.maxPages > hugePages {
			return uint64(d(9)) * hugePages
		}
	}
	return w.arena + uint64(d(24))
}

// addr is an address, as a rule that of a page.
func (g *generator) addr() uint64 {
	a := g.page() * pg
	if g.d(60) == 0 {
		a += g.d.one(1, 100, pg-1)
	}
	return a
}

// pages is how long something is.
func (g *generator) pages() uint64 {
	d, w := g.d, g.w
	switch d(24) {
	case 0:
		if w.maxPages > 9 {
			return d.one(511, 512, 513, 1024, 1025, uint64(d(int(w.maxPages))))
		}
		return 10 + uint64(d(50))
	case 1:
		if w.maxPages > 9 {
			return 512 * (1 + uint64(d(2)))
		}
	}
	return 1 + uint64(d(9))
}

// vma is one of the VMAs that there are.
func (g *generator) vma() (lo, hi uint64) {
	s := g.p.s
	if g.p.child != nil {
		s = g.p.child.s
	}
	if s.vmas() == 0 {
		return g.w.arena, g.w.arena + 1
	}
	n := g.d(int(s.vmas()))
	for p, ok := s.next(0); ok; p, ok = s.next(hi) {
		if lo, hi = s.vma(p); n == 0 {
			break
		}
		n--
	}
	return lo, hi
}

// length is the same in bytes.
func (g *generator) length() uint64 {
	switch g.d(80) {
	case 0:
		return 0
	case 1:
		return g.d.one(g.w.taskPages()*pg, g.w.taskPages()*pg+1, ^uint64(0), ^uint64(0)-pg, 1<<63, -g.page()*pg)
	case 2:
		return g.pages()*pg - uint64(g.d(pg))
	}
	return g.pages() * pg
}

func (g *generator) prot() uint64 {
	d := g.d
	p := d.one(0, 1, 1, 3, 3, 3, 3, 5, 7, 2, 4)
	return p | d.rarely(50, func() uint64 { return d.one(linux.PROT_GROWSDOWN, linux.PROT_GROWSUP, linux.PROT_SEM, 0x10) })
}

// opcodes in the proportions in which they come.
var opcodes = func() (ops []opcode) {
	for _, x := range []struct {
		n  int
		op opcode
	}{
		{26, opMMap}, {14, opMUnmap}, {14, opMProtect}, {12, opMAdvise}, {5, opMLock}, {4, opMUnlock}, {1, opMLockAll},
		{1, opMUnlockAll}, {6, opBrk}, {18, opMRemap}, {1, opMSeal}, {4, opMBind}, {1, opHomeNode}, {2, opSetName},
		{2, opShmAt}, {2, opShmDt}, {1, opMSync}, {2, opRemapFilePages}, {1, opIoSetup}, {1, opIoDestroy},
		{1, opMemoryMerge}, {1, opGrow}, {1, opFork}, {2, opLimit}, {1, opCreds}, {1, opPersonality}, {1, opMaxMapCount},
	} {
		for range x.n {
			ops = append(ops, x.op)
		}
	}
	return ops
}()

// call draws a call.
func (g *generator) call() call {
	d := g.d
	c := call{op: opcodes[d(len(opcodes))]}
	if c.op == opMSeal && d(3) != 0 || c.op == opPersonality && d(3) != 0 {
		c.op = opMUnmap // sealed pages stay for ever
	}
	c.addr, c.length = g.addr(), g.length()
	if d(4) == 0 {
		lo, hi := g.vma()
		switch d(6) {
		case 0:
			hi = lo + 1 + uint64(d(int(hi-lo))) // its first pages
		case 1:
			lo += uint64(d(int(hi - lo))) // its last pages
		case 2:
			hi += 1 + uint64(d(3)) // and behind
		case 3:
			lo, hi = hi, hi+uint64(1+d(4)) // behind it
		}
		c.addr, c.length = lo*pg, (hi-lo)*pg
	}
	switch c.op {
	case opMMap:
		g.mmap(&c)
	case opMProtect:
		c.prot = g.prot()
	case opMAdvise:
		c.flags = g.advice()
	case opMLock:
		c.flags = d.one(0, 1, 1, d.rarely(20, func() uint64 { return 2 }))
	case opMLockAll:
		c.flags = d.one(1, 2, 3, 4, 5, 6, 7, 2, uint64(d(16)))
	case opBrk:
		c.addr = g.w.heap*pg + uint64(d(14*pg))
		if d(3) != 0 {
			c.addr = (g.w.heap + uint64(d(12))) * pg
		}
	case opMRemap:
		g.mremap(&c)
	case opMSeal, opHomeNode:
		c.flags = d.rarely(20, func() uint64 { return 1 })
	case opMBind:
		c.flags, c.n = d.one(0, mpolBind, mpolBind, 3, mpolPreferredMany), d.one(1, 1, 2)
	case opSetName:
		c.n = uint64(d(len(names)))
	case opShmAt:
		c.file = len(worldFiles) - 2 + d(2)
		c.flags = d.one(0, 0, linux.SHM_RDONLY, linux.SHM_REMAP, linux.SHM_REMAP|linux.SHM_RND, linux.SHM_RND, linux.SHM_EXEC)
		if d(3) == 0 {
			c.addr = 0
		}
	case opMSync:
		c.flags = uint64(d(9))
	case opRemapFilePages:
		c.n = d.one(0, 1, 2, 3, 1<<52, 1<<51-1) * pg
		c.flags = d.one(0, 0, linux.MAP_NONBLOCK)
		c.prot = d.rarely(20, func() uint64 { return 1 })
	case opIoSetup:
		c.n = d.one(1, 1, 100, 300, 0)
	case opMemoryMerge:
		c.n = uint64(d(2))
		if d(4) == 0 {
			c.op, c.flags = opMDWE, uint64(d(5))
		}
	case opFork:
		c.n = uint64(1 + d(12))
	case opLimit:
		g.limit(&c)
	case opCreds:
		c.n = d.one(0, 1, 1, 3)
	case opPersonality:
		c.n = uint64(d(2))
	case opMaxMapCount:
		c.n = d.one(0, 1, 2, 3, 5, 8, 100, 1000, 1000)
	}
	return c
}

func (g *generator) mmap(c *call) {
	d := g.d
	c.prot = g.prot() & 7
	c.flags = d.one(linux.MAP_PRIVATE, linux.MAP_PRIVATE, linux.MAP_PRIVATE, linux.MAP_SHARED, linux.MAP_SHARED_VALIDATE, linux.MAP_DROPPABLE)
	if d(20) == 0 {
		c.flags = uint64(d(16))
	}
	switch d(8) {
	case 0, 1, 2:
		c.flags |= linux.MAP_FIXED
	case 3:
		c.flags |= linux.MAP_FIXED_NOREPLACE
	case 4, 5, 6:
		c.addr = 0
	}
	for _, f := range []uint64{linux.MAP_NORESERVE, linux.MAP_STACK, linux.MAP_GROWSDOWN, linux.MAP_LOCKED,
		linux.MAP_POPULATE, linux.MAP_NONBLOCK, linux.MAP_SYNC, linux.MAP_ABOVE4G, linux.MAP_32BIT} {
		if d(16) == 0 {
			c.flags |= f
		}
	}
	if d(3) == 0 {
		c.file = d(len(worldFiles) - 2)
		c.n = uint64(d(9)) * pg
		if d(30) == 0 {
			c.n = d.one(1, 512*pg, 1<<63-9*pg, ^uint64(pg-1), 15*pg)
		}
	}
	if c.file == 0 {
		c.flags |= linux.MAP_ANONYMOUS
	}
}

func (g *generator) mremap(c *call) {
	d := g.d
	const may, fix, keep = linux.MREMAP_MAYMOVE, linux.MREMAP_FIXED, linux.MREMAP_DONTUNMAP
	c.flags = d.one(0, may, may, may|fix, may|fix, may|fix, may|keep, may|fix|keep)
	if d(50) == 0 {
		c.flags = uint64(d(16))
	}
	c.to, c.n = g.addr(), g.length()
	switch d(5) {
	case 0, 1:
		c.n = c.length
	case 2:
		c.n = c.length + uint64(d(3))*pg
	case 3:
		if d(4) == 0 {
			c.length = 0
		}
	}
	if d(4) == 0 {
		c.to = c.addr + c.n // right behind
	}
}

func (g *generator) advice() uint64 {
	d := g.d
	if d(30) == 0 {
		return uint64(d(27))
	}
	if d(2) == 0 {
		return d.one(linux.MADV_DONTFORK, linux.MADV_DOFORK, linux.MADV_RANDOM, linux.MADV_NORMAL, linux.MADV_SEQUENTIAL)
	}
	return d.one(linux.MADV_WILLNEED, linux.MADV_DONTNEED, linux.MADV_FREE, linux.MADV_REMOVE, linux.MADV_MERGEABLE,
		linux.MADV_UNMERGEABLE, linux.MADV_HUGEPAGE, linux.MADV_NOHUGEPAGE, linux.MADV_DONTDUMP, linux.MADV_DODUMP,
		linux.MADV_WIPEONFORK, linux.MADV_KEEPONFORK, linux.MADV_COLD, linux.MADV_PAGEOUT, linux.MADV_POPULATE_READ,
		linux.MADV_POPULATE_WRITE, linux.MADV_DONTNEED_LOCKED, linux.MADV_COLLAPSE, linux.MADV_GUARD_INSTALL, linux.MADV_GUARD_REMOVE)
}

func (g *generator) limit(c *call) {
	d := g.d
	c.flags = d.one(linux.RLIMIT_AS, linux.RLIMIT_DATA, linux.RLIMIT_MEMLOCK)
	c.n = uint64(d(100)) * pg
	switch {
	case d(2) == 0:
		c.n = linux.RLIM_INFINITY
	case d(4) == 0:
		c.n = d.one(0, c.n+1)
	}
}

// settings draws what of a world is not the same in all of its address spaces.
func (g *generator) settings() world {
	d, w := g.d, *g.w
	w.cfg.Overcommit = limits.OvercommitMode(d(3))
	if d(3) == 0 {
		w.cfg.Memory = uint64(4 + d(40))
	}
	w.cfg.ShmemHuge = d(2) == 0
	return w
}
