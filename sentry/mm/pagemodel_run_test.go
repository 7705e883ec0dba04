package mm

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/procmaps"
	"github.com/runsbx/runsbx/sentry/segment"
)

// Calls, made on the manager and on the page model side by side.

// opcode says which call.
type opcode string

const (
	opMMap           opcode = "mmap"
	opMUnmap         opcode = "munmap"
	opMProtect       opcode = "mprotect"
	opMAdvise        opcode = "madvise"
	opMLock          opcode = "mlock2"
	opMUnlock        opcode = "munlock"
	opMLockAll       opcode = "mlockall"
	opMUnlockAll     opcode = "munlockall"
	opBrk            opcode = "brk"
	opMRemap         opcode = "mremap"
	opMSeal          opcode = "mseal"
	opMBind          opcode = "mbind"
	opHomeNode       opcode = "set_mempolicy_home_node"
	opSetName        opcode = "set_name"
	opShmAt          opcode = "shmat"
	opShmDt          opcode = "shmdt"
	opMSync          opcode = "msync"
	opRemapFilePages opcode = "remap_file_pages"
	opIoSetup        opcode = "io_setup"
	opIoDestroy      opcode = "io_destroy"
	opMDWE           opcode = "set_mdwe"
	opMemoryMerge    opcode = "set_memory_merge"
	opGrow           opcode = "stack_grows"   // by page faults, to the address
	opFork           opcode = "fork"          // and the next n calls are made by the child
	opLimit          opcode = "setrlimit"     // n bytes for the resource in flags
	opCreds          opcode = "capset"        // n bits
	opPersonality    opcode = "personality"   // READ_IMPLIES_EXEC, if n is not 0
	opMaxMapCount    opcode = "max_map_count" // n more VMAs than there are
)

// call is one call. Addresses and lengths are in bytes; flags also stand for advice, policies and such.
type call struct {
	op           opcode
	addr, length uint64
	prot, flags  uint64
	to, n        uint64 // mremap's new address and length; n is also an offset in bytes, a number
	file         int    // of world.files; 0 is none
}

func (c call) String() string {
	return fmt.Sprintf("{op: %q, addr: %#x, length: %#x, prot: %#x, flags: %#x, to: %#x, n: %#x, file: %d}",
		string(c.op), c.addr, c.length, c.prot, c.flags, c.to, c.n, c.file)
}

// world is an address space in which pages can be tried one by one: a few pages high, or with its middle
// where MAP_32BIT searches, or with room for huge pages.
//
//	min      heap      arena           base     stack
//	 |        |->       |                |<-      |
type world struct {
	name                     string
	cfg                      Config
	layout                   Layout
	base                     uint64 // mmap_base
	heap, arena, vdso, stack uint64 // pages
	low, near                uint64 // where most of it lies, and how many pages that is
	stackEnd                 uint64
	maxPages                 uint64 // of a mapping, as a rule
}

func worldOf(name string, taskPages uint64, w world) world {
	w.name = name
	if w.near == 0 {
		w.near = taskPages
	}
	w.cfg = Config{
		TaskSize: hostarch.Addr(taskPages * pg), MmapMinAddr: 4 * pg, DACMinAddr: 3 * pg, StackGuardGap: 6 * pg,
		MaxMapCount: 65530, THP: true, NUMA: true, KSM: true, AnonVMAName: true, ShmemHuge: true, CPUs: 2,
	}
	return w
}

var worlds = []world{
	worldOf("top-down", 120, world{base: 96, heap: 14, arena: 30, vdso: 92, stack: 112, stackEnd: 116, maxPages: 9}),
	worldOf("bottom-up", 120, world{layout: BottomUp, base: 50, heap: 14, arena: 40, vdso: 92, stack: 112, stackEnd: 116, maxPages: 9}),
	worldOf("2 GiB", 0x80020, world{low: 0x3ffe0, near: 0x80, base: 0x40030, heap: 0x3fff0, arena: 0x40000, vdso: 0x40040, stack: 0x80010, stackEnd: 0x80018, maxPages: 9}),
	worldOf("huge pages", 9*512, world{base: 8*512 + 20, heap: 14, arena: 3 * 512, vdso: 100, stack: 9*512 - 20, stackEnd: 9*512 - 10, maxPages: 700}),
}

// worldFiles are the files that can be mapped. The first one is none.
var worldFiles = []*File{nil,
	{Name: "/rw", Dev: 1, Ino: 1, Readable: true, Writable: true, THPArea: true},
	{Name: "/ro", Dev: 1, Ino: 2, Readable: true},
	{Name: "/wo", Dev: 1, Ino: 3, Writable: true},
	{Name: "/append", Dev: 1, Ino: 4, Readable: true, Writable: true, AppendOnly: true},
	{Name: "/noexec", Dev: 1, Ino: 5, Readable: true, Writable: true, NoExec: true},
	{Name: "/memfd:x (deleted)", Kind: Shmem, Dev: 1, Ino: 6, Readable: true, Writable: true},
	{Name: "/memfd:s (deleted)", Kind: Shmem, Dev: 1, Ino: 7, Readable: true, Writable: true, Seals: linux.F_SEAL_FUTURE_WRITE},
	{Name: "/tmpfs", Kind: Shmem, Dev: 1, Ino: 8, Readable: true, Writable: true, Size: 5 * pg},
	{Name: "/dev/zero", Kind: DevZero, Dev: 1, Ino: 9, Readable: true, Writable: true, MaxSize: math.MaxUint64},
	{Name: "/directory", Kind: Unmappable, Dev: 1, Ino: 10, Readable: true, MaxSize: math.MaxUint64},
	{Name: "/fuse", Dev: 1, Ino: 11, Readable: true, Writable: true, Close: true},
	{Name: "/small", Dev: 1, Ino: 12, Readable: true, MaxSize: 20*pg + 1, Size: 3 * pg},
	{Name: "/SYSV", Kind: SysV, Dev: 1, Ino: 13, Size: 3*pg + 1},
	{Name: "/SYSV", Kind: SysV, Dev: 1, Ino: 14, Size: 6 * pg},
}

// pair is a manager and the page model of the same address space.
type pair struct {
	m     *MemoryManager
	s     *space
	c     *Caller
	cfg   *Config
	child *pair // whose turn it is
	turns uint64
	list  []segment.Segment[VMA] // before the present call
	last  linux.Errno            // what the last call answered
}

// newPair returns a new address space of the world.
func newPair(w *world) *pair {
	cfg := w.cfg
	p := &pair{m: New(&cfg), c: &Caller{Limits: limits.Unlimited()}, cfg: &cfg}
	err := p.m.Seed([]procmaps.Entry{
		{Range: pagesAt(w.vdso, 2), Read: true, Exec: true, Name: "[vdso]"},
		{Range: pagesAt(w.stack, w.stackEnd-w.stack), Read: true, Write: true, Name: "[stack]"},
	}, SeedInfo{StartBrk: hostarch.Addr(w.heap*pg + 100), Brk: hostarch.Addr(w.heap*pg + 100), StartData: 2 * pg, EndData: 2*pg + 300,
		MmapBase: hostarch.Addr(w.base * pg), Layout: w.layout, NoRandomize: true})
	if err != nil {
		panic(err)
	}
	p.m.loose = false
	p.m.AssumeUntouched()
	p.s = &space{
		pageMap: pageMap{low: w.low, near: make([]page, w.near), far: map[uint64]page{}}, cfg: &cfg, c: p.c, layout: w.layout, mmapBase: w.base, legacyBase: (w.taskPages() + 2) / 3,
		startBrk: w.heap*pg + 100, brk: w.heap*pg + 100, dataLen: 300,
		guards: map[uint64]bool{}, rings: map[*File]bool{},
	}
	p.s.place(w.vdso, w.vdso+2, page{special: true,
		flags: VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_DONTEXPAND})
	p.s.place(w.stack, w.stackEnd, page{off: w.stack, anon: 1,
		flags: VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_GROWSDOWN | VM_ACCOUNT})
	p.s.anons = 1
	return p
}

func (w *world) taskPages() uint64 { return uint64(w.cfg.TaskSize) / pg }

func pagesAt(at, n uint64) hostarch.AddrRange { return hostarch.Range(hostarch.Addr(at*pg), n*pg) }

// do makes the call on both, and returns how they differ.
func (p *pair) do(c call) error {
	if p.child != nil {
		was := p.m.all()
		if err := p.child.do(c); err != nil {
			return fmt.Errorf("in the child: %w", err)
		}
		if !slices.Equal(p.m.all(), was) {
			return fmt.Errorf("the child has changed its parent")
		}
		if p.turns--; p.turns == 0 {
			p.child = nil
		}
		return p.compare()
	}
	if c.op == opFork && !p.s.forked {
		p.fork(c.n)
		return p.child.compare()
	}
	if p.settings(c) || p.s.forked && c.op == opMRemap && c.flags&linux.MREMAP_DONTUNMAP != 0 {
		return p.compare() // what it leaves behind in a child depends on what merged
	}
	p.list = p.list[:0]
	for seg := range p.m.vmas.All() {
		p.list = append(p.list, seg)
	}
	totals, brk, defFlags := p.m.Totals(), p.m.brk, p.m.defFlags
	p.s.began = false
	p.s.object = func(addr uint64) *File {
		_, v, _ := p.m.Find(hostarch.Addr(addr))
		return v.File
	}
	got, want := p.manager(c), p.model(c)
	p.last = want.errno
	switch {
	case got.Errno != want.errno, got.Unsure != want.unsure:
		return fmt.Errorf("answered %s, want %s", answerOf(got), want)
	case want.errno == 0 && uint64(got.Addr) != want.addr:
		return fmt.Errorf("answered %v, want %x", got.Addr, want.addr)
	case reasonOf(got) != want.why:
		return fmt.Errorf("%s because of %q, want %q", want, reasonOf(got), want.why)
	case got.Partial && (got.Errno == 0 || !p.s.began):
		return fmt.Errorf("%s, and said to be partial, although it had come to no VMA", want)
	}
	if got.Errno != 0 && !got.Partial || got.Unsure {
		if p.m.Totals() != totals || p.m.brk != brk || p.m.defFlags != defFlags || !p.same() {
			return fmt.Errorf("%s, and yet changed something", want)
		}
	}
	if got.Unsure && c.op == opMLock {
		p.m.AdoptMLock(p.c, hostarch.Addr(c.addr), c.length, c.flags)
		p.s.mlock(c.addr, c.length, c.flags, true)
	}
	return p.compare()
}

// same reports whether the VMAs are those from before the call.
func (p *pair) same() bool {
	i := 0
	for seg := range p.m.vmas.All() {
		if i == len(p.list) || seg != p.list[i] {
			return false
		}
		i++
	}
	return i == len(p.list)
}

func reasonOf(r Result) limits.Resource {
	if r.Refusal == nil {
		return ""
	}
	return r.Refusal.Resource
}

func answerOf(r Result) answer {
	return answer{errno: r.Errno, why: reasonOf(r), addr: uint64(r.Addr), unsure: r.Unsure}
}

func (a answer) String() string {
	switch {
	case a.unsure:
		return "unsure"
	case a.errno != 0:
		return strings.TrimSpace(a.errno.Name() + " " + string(a.why))
	}
	return fmt.Sprintf("%#x", a.addr)
}

// compare compares everything of the two address spaces.
func (p *pair) compare() error {
	if err := p.m.CheckInvariants(); err != nil {
		return err
	}
	s, n := p.s, 0
	for seg := range p.m.vmas.All() {
		v := &seg.Value
		want := page{flags: v.Flags, file: v.File, off: v.PgOff, policy: policyOf(v), special: v.special() != "", anon: v.Anon.ID, mapped: true}
		if v.Rare != nil {
			want.name = uint8(slices.Index(names, v.Rare.Name))
		}
		for q := seg.Start / pg; q < seg.End/pg; q++ {
			want.first = q == seg.Start/pg
			got := s.at(q)
			if s.forked && s.has(q) {
				if !want.first && !alike(s.at(q-1), want) && !want.special && !want.is(vmSpecial) {
					return fmt.Errorf("page %#x is in one VMA with what is unlike it", q)
				}
				got.first, got.anon = want.first, want.anon
				got.flags = got.flags&^vmSticky | want.flags&vmSticky
				s.set(q, got)
			}
			if (got.anon == 0) != (want.anon == 0) {
				return fmt.Errorf("page %#x: anon_vma %d, want %d", q, want.anon, got.anon)
			}
			if got.anon = want.anon; got != want {
				return fmt.Errorf("page %#x is %v, want %v", q, want, got)
			}
			want.off++
			n++
		}
	}
	if want := s.count(func(page) bool { return true }); uint64(n) != want {
		return fmt.Errorf("%d pages, want %d", n, want)
	}
	if got, want := p.m.Totals(), s.totals(); got != want {
		return fmt.Errorf("totals %+v, want %+v", got, want)
	}
	switch {
	case uint64(p.m.brk) != s.brk:
		return fmt.Errorf("break %v, want %#x", p.m.brk, s.brk)
	case p.m.defFlags != s.defFlags:
		return fmt.Errorf("default flags %#x, want %#x", p.m.defFlags, s.defFlags)
	case p.m.mdwe != s.mdwe || p.m.mdweNoInherit != s.mdweNoInherit || p.m.mergeAny != s.mergeAny:
		return fmt.Errorf("MDWE %v %v, merge any %v, want %v %v, %v", p.m.mdwe, p.m.mdweNoInherit, p.m.mergeAny, s.mdwe, s.mdweNoInherit, s.mergeAny)
	}
	return nil
}

func (p page) String() string {
	name := ""
	if p.file != nil {
		name = p.file.Name
	}
	return fmt.Sprintf("[flags %#x, %s+%#x, policy %#x, name %q, anon_vma %d, special %v, first %v]", uint64(p.flags), name, p.off, p.policy, names[p.name], p.anon, p.special, p.first)
}

// runCallList makes the calls in a new address space of the world, and returns the first difference.
func runCallList(w *world, calls []call) (failed int, err error) {
	p := newPair(w)
	for i, c := range calls {
		if err := p.do(c); err != nil {
			return i, fmt.Errorf("%v: %w", c, err)
		}
	}
	return len(calls), nil
}

// shrink leaves out calls for as long as what is left fails.
func shrink(w *world, calls []call) []call {
	for again := true; again; {
		again = false
		for i := len(calls) - 1; i >= 0; i-- {
			less := slices.Delete(slices.Clone(calls), i, i+1)
			if n, err := runCallList(w, less); err != nil {
				calls, again = less[:n+1], true
				i = min(i, len(calls))
			}
		}
	}
	return calls
}
