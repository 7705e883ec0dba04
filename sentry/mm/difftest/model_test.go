package difftest

import (
	"fmt"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// file is a descriptor of the guest's.
type file struct {
	fd   uint64
	what string   // for the reader
	file *mm.File // nil when mmap finds no file behind the descriptor (EBADF)
}

// process is the model of one process of a run.
type process struct {
	m    *mm.MemoryManager
	c    mm.Caller
	hard [4]uint64 // hard limits, as soft has them

	rings map[hostarch.Addr]*mm.File // of AIO contexts, by their identifiers
}

// noteRings notes the rings that a call has put into [addr, addr+length): where a ring is, is its context's identifier,
// also when it is unmapped afterwards.
func (p *process) noteRings(addr hostarch.Addr, length uint64) {
	for r, v := range p.m.Within(hostarch.Range(addr, length)) {
		if v.File != nil && v.File.Kind == mm.Ring {
			if p.rings == nil {
				p.rings = make(map[hostarch.Addr]*mm.File)
			}
			p.rings[r.Start] = v.File
		}
	}
}

// soft returns the place of a soft limit and its number in hard.
func (p *process) soft(resource uint64) (*uint64, int) {
	l := &p.c.Limits
	switch resource {
	case linux.RLIMIT_AS:
		return &l.AS, 0
	case linux.RLIMIT_DATA:
		return &l.Data, 1
	case linux.RLIMIT_STACK:
		return &l.Stack, 2
	case linux.RLIMIT_MEMLOCK:
		return &l.MemLock, 3
	}
	return nil, 0
}

// resources are the limits that memory calls obey.
var resources = []uint64{linux.RLIMIT_AS, linux.RLIMIT_DATA, linux.RLIMIT_STACK, linux.RLIMIT_MEMLOCK}

// setLimit mirrors do_prlimit. Who sets it from outside has the credentials of the process.
func (p *process) setLimit(resource, soft, hard uint64) mm.Result {
	place, i := p.soft(resource)
	switch {
	case soft > hard:
		return mm.Result{Errno: linux.EINVAL}
	case hard > p.hard[i] && !p.c.Creds.SysResource:
		return mm.Result{Errno: linux.EPERM}
	}
	*place, p.hard[i] = soft, hard
	p.c.Limits.DataMax = p.hard[1]
	return mm.Result{}
}

// model is the model's side of a run: no process, no kernel.
type model struct {
	files  []file
	segs   []*mm.File // System V segments
	procs  []*process
	cur    int            // who makes the calls
	unsure map[string]int // how often, by name
	calls  map[string]int
}

func (x *model) now() *process { return x.procs[x.cur] }

// step does the operation, which the kernel answered with ret, and returns how the model's answer
// differs, or "".
func (x *model) step(o *op, ret int64) string {
	x.calls[opNames[o.nr]]++
	p := x.now()
	before, old := p.m.Totals(), p.m.Snapshot()
	res, got := x.do(o)
	switch {
	case res.Unsure:
		x.unsure[opNames[o.nr]]++
		x.adopt(o, ret)
	case got != ret:
		why := ""
		if res.Refusal != nil {
			why = ", " + res.Refusal.Error()
		}
		return fmt.Sprintf("%v: %s in the kernel, %s in the model%s", o, outcome(o, ret), outcome(o, got), why)
	case res.Errno != 0 && !res.Partial && (p.m.Totals() != before || !sameVMAs(p.m, old)):
		return fmt.Sprintf("%v: refused with %s, and changed the model without saying so", o, res.Errno.Name())
	}
	if err := x.now().m.CheckInvariants(); err != nil {
		return fmt.Sprintf("%v: %v", o, err)
	}
	return ""
}

// sameVMAs reports whether the VMAs are those of the snapshot.
func sameVMAs(m *mm.MemoryManager, s mm.Snapshot) bool {
	old := mm.New(&mm.Config{})
	old.Restore(s)
	n := 0
	for r, v := range m.All() {
		if was, w, ok := old.Find(r.Start); !ok || was != r || w.Flags != v.Flags {
			return false
		}
		n++
	}
	return n == old.Totals().MapCount
}

// do does the operation and returns the answer, also as the program gets it.
func (x *model) do(o *op) (mm.Result, int64) {
	if o.nr == opTouch {
		f := x.now().m.Fault(&x.now().c, hostarch.Addr(o.args[0]), o.args[1] != 0)
		return mm.Result{Unsure: f.Unsure, Refusal: f.Refusal}, int64(f.Signal<<8 | f.Code)
	}
	res := x.call(o)
	if res.Errno != 0 {
		return res, -int64(res.Errno)
	}
	return res, int64(res.Addr)
}

func (x *model) call(o *op) mm.Result {
	p, a := x.now(), &o.args
	m, c, addr := p.m, &p.c, hostarch.Addr(a[0])
	switch o.nr {
	case opFork:
		child := &process{m: m.Fork(), c: *c, hard: p.hard}
		x.procs = append(x.procs, child)
		if a[0] != 0 {
			x.cur = len(x.procs) - 1
		}
		return mm.Result{}
	case opSwitch:
		x.cur = int(a[0])
		return mm.Result{}
	case opLook:
		return mm.Result{}
	case opLimit, linux.SYS_PRLIMIT64, linux.SYS_SETRLIMIT:
		return p.setLimit(a[0], a[1], a[2])
	case linux.SYS_PERSONALITY:
		old := c.Personality
		if a[0] != linux.PERSONALITY_QUERY {
			c.Personality = a[0]
		}
		return mm.Result{Addr: hostarch.Addr(old)}
	case linux.SYS_MMAP:
		args, res := x.mmapArgs(o)
		if res.Errno != 0 {
			return res
		}
		return m.MMap(c, args)
	case linux.SYS_MUNMAP:
		return m.MUnmap(c, addr, a[1])
	case linux.SYS_MPROTECT:
		return m.MProtect(c, addr, a[1], a[2], -1)
	case linux.SYS_PKEY_MPROTECT:
		return m.MProtect(c, addr, a[1], a[2], int(int32(a[3])))
	case linux.SYS_PKEY_ALLOC:
		return m.PkeyAlloc(a[0], a[1])
	case linux.SYS_PKEY_FREE:
		return m.PkeyFree(int(int32(a[0])))
	case linux.SYS_BRK:
		return m.Brk(c, addr)
	case linux.SYS_MREMAP:
		res := m.MRemap(c, addr, a[1], a[2], a[3], hostarch.Addr(a[4]))
		if res.Errno == 0 && res.Addr != addr {
			p.noteRings(res.Addr, a[2]) // aio_ring_mremap
		}
		return res
	case linux.SYS_MADVISE:
		return m.MAdvise(c, addr, a[1], int(int32(a[2])))
	case linux.SYS_MLOCK:
		return m.MLock(c, addr, a[1], 0)
	case linux.SYS_MLOCK2:
		return m.MLock(c, addr, a[1], a[2])
	case linux.SYS_MUNLOCK:
		return m.MUnlock(c, addr, a[1])
	case linux.SYS_MLOCKALL:
		return m.MLockAll(c, a[0])
	case linux.SYS_MUNLOCKALL:
		return m.MUnlockAll(c)
	case linux.SYS_MSYNC:
		return m.MSync(c, addr, a[1], a[2])
	case linux.SYS_REMAP_FILE_PAGES:
		return m.RemapFilePages(c, addr, a[1], a[2], a[3], a[4])
	case linux.SYS_SHMAT:
		return m.ShmAt(c, x.segs[a[0]], hostarch.Addr(a[1]), a[2])
	case linux.SYS_SHMDT:
		return m.ShmDt(c, addr)
	case linux.SYS_MSEAL:
		return m.MSeal(c, addr, a[1], a[2])
	case linux.SYS_MAP_SHADOW_STACK:
		return m.MapShadowStack(c, addr, a[1], a[2])
	case linux.SYS_MBIND:
		return m.MBind(c, addr, a[1], a[2], a[2]&0xff, a[5])
	case linux.SYS_SET_MEMPOLICY_HOME_NODE:
		return m.SetMempolicyHomeNode(c, addr, a[1], a[2], a[3])
	case linux.SYS_IO_SETUP:
		res := m.IoSetup(c, uint32(a[0]))
		if res.Errno == 0 {
			p.noteRings(res.Addr, 1)
		}
		res.Addr = 0
		return res
	case linux.SYS_IO_DESTROY:
		return m.IoDestroy(addr)
	case linux.SYS_PRCTL:
		return p.prctl(a)
	}
	panic("no such call")
}

func (p *process) prctl(a *[6]uint64) mm.Result {
	m := p.m
	switch a[0] {
	case linux.PR_SET_MDWE:
		return m.SetMDWE(a[1], a[2], a[3], a[4])
	case linux.PR_GET_MDWE:
		return m.GetMDWE(a[1], a[2], a[3], a[4])
	case linux.PR_SET_MEMORY_MERGE:
		return m.SetMemoryMerge(a[1], a[2], a[3], a[4])
	case linux.PR_GET_MEMORY_MERGE:
		return m.GetMemoryMerge(a[1], a[2], a[3], a[4])
	case linux.PR_SET_THP_DISABLE:
		return m.SetTHPDisable(a[1], a[2], a[3], a[4])
	case linux.PR_SET_VMA:
		return m.SetAnonName(&p.c, hostarch.Addr(a[2]), a[3], "name")
	}
	panic("no such prctl")
}

// adopt tells the model what the kernel answered.
func (x *model) adopt(o *op, ret int64) {
	p, a := x.now(), &o.args
	m, c, addr := p.m, &p.c, hostarch.Addr(a[0])
	ok := ret >= 0 || ret <= -4096
	switch o.nr {
	case opTouch:
		m.AdoptFault(addr, a[1] != 0, int(ret>>8))
	case linux.SYS_MMAP:
		if args, _ := x.mmapArgs(o); ok {
			m.Adopt(c, args, hostarch.Addr(ret))
		} else {
			m.AdoptRefusedMMap(args)
		}
	case linux.SYS_SHMAT:
		if ok {
			m.AdoptShmAt(c, x.segs[a[0]], hostarch.Addr(ret), a[2])
		}
	case linux.SYS_MREMAP:
		if ok {
			m.AdoptMRemap(c, addr, a[1], a[2], a[3], hostarch.Addr(a[4]), hostarch.Addr(ret))
		}
	case linux.SYS_MADVISE:
		m.AdoptMAdvise(c, addr, a[1], int(int32(a[2])))
	case linux.SYS_REMAP_FILE_PAGES:
		if ok {
			m.AdoptRemapFilePages(c, addr, a[1], a[2], a[3], a[4])
		} else {
			m.AdoptRefusedRemapFilePages(addr, a[1], a[2], a[3], a[4])
		}
	case linux.SYS_MBIND:
		errno := linux.Errno(0)
		if !ok {
			errno = linux.Errno(-ret)
		}
		m.AdoptMBind(c, addr, a[1], a[2], a[2]&0xff, a[5], errno)
	case linux.SYS_IO_DESTROY:
		_, v, found := m.Find(addr)
		switch ring := p.rings[addr]; {
		case !ok || !found || v.File == nil:
		case ring != nil && ring != v.File:
			// That context's ring is gone from there, and another's lies in its place. But the number that the
			// kernel reads there is 0, as it is in the first ring, and the context that has this number has this
			// identifier.
			//
			//	      addr
			//	      [ring)            is unmapped, as long as it was
			//	[- another's ring -)
			//	[----)      [------)
			m.MUnmap(c, addr, ring.Size)
		default:
			m.AdoptIoDestroy(addr, v.File.Size)
		}
	case linux.SYS_MLOCK:
		m.AdoptMLock(c, addr, a[1], 0)
	case linux.SYS_MLOCK2:
		m.AdoptMLock(c, addr, a[1], a[2])
	}
}

// mmapArgs decodes an mmap, and answers those that find no file (ksys_mmap_pgoff).
func (x *model) mmapArgs(o *op) (mm.MMapArgs, mm.Result) {
	a := &o.args
	args := mm.MMapArgs{Addr: hostarch.Addr(a[0]), Length: a[1], Prot: a[2], Flags: a[3], Offset: a[5]}
	if a[3]&linux.MAP_ANONYMOUS != 0 {
		return args, mm.Result{}
	}
	if a[4] < uint64(len(x.files)) {
		args.File = x.files[a[4]].file
	}
	switch {
	case a[5]%hostarch.PageSize != 0:
		return args, mm.Result{Errno: linux.EINVAL}
	case args.File == nil:
		return args, mm.Result{Errno: linux.EBADF}
	}
	return args, mm.Result{}
}
