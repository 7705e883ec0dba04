package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// manager makes the call on the manager.
func (p *pair) manager(c call) Result {
	m, addr := p.m, hostarch.Addr(c.addr)
	switch c.op {
	case opMMap:
		return m.MMap(p.c, c.mmapArgs())
	case opMUnmap:
		return m.MUnmap(p.c, addr, c.length)
	case opMProtect:
		return m.MProtect(p.c, addr, c.length, c.prot, -1)
	case opMAdvise:
		return m.MAdvise(p.c, addr, c.length, int(c.flags))
	case opMLock:
		return m.MLock(p.c, addr, c.length, c.flags)
	case opMUnlock:
		return m.MUnlock(p.c, addr, c.length)
	case opMLockAll:
		return m.MLockAll(p.c, c.flags)
	case opMUnlockAll:
		return m.MUnlockAll(p.c)
	case opBrk:
		return m.Brk(p.c, addr)
	case opMRemap:
		return m.MRemap(p.c, addr, c.length, c.n, c.flags, hostarch.Addr(c.to))
	case opMSeal:
		return m.MSeal(p.c, addr, c.length, c.flags)
	case opMBind:
		return m.MBind(p.c, addr, c.length, c.flags, c.n, 0)
	case opHomeNode:
		return m.SetMempolicyHomeNode(p.c, addr, c.length, 0, c.flags)
	case opSetName:
		return m.SetAnonName(p.c, addr, c.length, names[c.n])
	case opShmAt:
		return m.ShmAt(p.c, worldFiles[c.file], addr, c.flags)
	case opShmDt:
		return m.ShmDt(p.c, addr)
	case opMSync:
		return m.MSync(p.c, addr, c.length, c.flags)
	case opRemapFilePages:
		return m.RemapFilePages(p.c, addr, c.length, c.prot, c.n/pg, c.flags)
	case opIoSetup:
		return m.IoSetup(p.c, uint32(c.n))
	case opIoDestroy:
		return m.IoDestroy(addr)
	case opMDWE:
		return m.SetMDWE(c.flags, 0, 0, 0)
	case opMemoryMerge:
		return m.SetMemoryMerge(c.n, 0, 0, 0)
	}
	panic(c.op)
}

// model makes the call on the page model.
func (p *pair) model(c call) answer {
	s := p.s
	switch c.op {
	case opMMap:
		return s.mmap(c.mmapArgs())
	case opMUnmap:
		return s.munmap(c.addr, c.length)
	case opMProtect:
		return s.mprotect(c.addr, c.length, c.prot)
	case opMAdvise:
		return s.madvise(c.addr, c.length, int(c.flags))
	case opMLock:
		return s.mlock(c.addr, c.length, c.flags, false)
	case opMUnlock:
		return s.munlock(c.addr, c.length)
	case opMLockAll:
		return s.mlockall(c.flags)
	case opMUnlockAll:
		return s.munlockall()
	case opBrk:
		return s.brkTo(c.addr)
	case opMRemap:
		return s.mremap(c.addr, c.length, c.n, c.flags, c.to)
	case opMSeal:
		return s.mseal(c.addr, c.length, c.flags)
	case opMBind:
		stored := uint64(0)
		if c.flags != mpolDefault {
			stored = c.flags<<policyModeShift | c.n
		}
		return s.mbind(c.addr, c.length, stored)
	case opHomeNode:
		return s.setHome(c.addr, c.length, c.flags)
	case opSetName:
		return s.setName(c.addr, c.length, uint8(c.n))
	case opShmAt:
		return s.shmat(worldFiles[c.file], c.addr, c.flags)
	case opShmDt:
		return s.shmdt(c.addr)
	case opMSync:
		return s.msync(c.addr, c.length, c.flags)
	case opRemapFilePages:
		return s.remapFilePages(c.addr, c.length, c.prot, c.n/pg, c.flags)
	case opIoSetup:
		return s.ioSetup(c.n)
	case opIoDestroy:
		return s.ioDestroy(c.addr)
	case opMDWE:
		return s.setMDWE(c.flags)
	case opMemoryMerge:
		return s.setMemoryMerge(c.n != 0)
	}
	panic(c.op)
}

// names are those that set_name gives.
var names = []string{"", "a", "b"}

func (c call) mmapArgs() MMapArgs {
	return MMapArgs{Addr: hostarch.Addr(c.addr), Length: c.length, Prot: c.prot, Flags: c.flags, File: worldFiles[c.file], Offset: c.n}
}

// settings does what is no memory call, and reports whether c is such.
func (p *pair) settings(c call) bool {
	switch c.op {
	case opLimit:
		switch c.flags {
		case linux.RLIMIT_AS:
			p.c.Limits.AS = c.n
		case linux.RLIMIT_DATA:
			p.c.Limits.Data, p.c.Limits.DataMax = c.n, c.n+20*pg
		case linux.RLIMIT_MEMLOCK:
			p.c.Limits.MemLock = c.n
		}
	case opCreds:
		p.c.Creds = Creds{IPCLock: c.n&1 != 0, SysRawIO: c.n&2 != 0}
	case opPersonality:
		p.c.Personality = 0
		if c.n != 0 {
			p.c.Personality = linux.READ_IMPLIES_EXEC
		}
	case opMaxMapCount:
		if p.s.forked {
			break // see fork
		}
		p.cfg.MaxMapCount = max(p.m.totals.MapCount+int(c.n)-1, 0)
	case opGrow:
		p.grow(c.addr / pg)
	case opFork: // a child of a child would say nothing new
	default:
		return false
	}
	return true
}

// grow lets the next stack above the page grow down to it, where that is free.
func (p *pair) grow(to uint64) {
	lo, ok := p.s.next(to)
	v := p.s.at(lo)
	if !ok || lo == to || lo-to > 20 || !v.is(VM_GROWSDOWN) || v.off < lo-to {
		return
	}
	p.m.ExpandStack(hostarch.Addr(lo*pg), hostarch.Addr(to*pg))
	p.s.change(lo, func(p *page) { p.first = false })
	for q := to; q < lo; q++ {
		v.off = p.s.at(lo).off - (lo - q)
		v.first = q == to
		p.s.set(q, v)
	}
}

// fork lets a child make the next n calls. Whether equal neighbours merge in it depends on anon_vmas of
// which the model only guesses; so it has all the VMAs that it could want.
func (p *pair) fork(n uint64) {
	cfg := *p.cfg
	cfg.MaxMapCount = 1 << 20
	caller := *p.c
	p.child = &pair{m: p.m.Fork(), s: p.s.fork(), c: &caller, cfg: &cfg}
	p.child.m.cfg, p.child.s.cfg, p.child.s.c = &cfg, &cfg, &caller
	p.turns = n
}
