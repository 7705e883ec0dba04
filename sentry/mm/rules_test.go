package mm

import (
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/procmaps"
	"github.com/runsbx/runsbx/sentry/segment"
)

// Rules of the calls that change what is mapped; see rules_map_test.go.

// specialOp puts a mapping of the kernel's own of two pages at 0: of a device's registers with VM_IO, say.
func specialOp(flags Flags, name string) op {
	return func(m *MemoryManager, c *Caller) Result {
		v := VMA{Flags: flags | VM_READ | VM_MAYREAD}
		if name != "" {
			v.Rare = &Rare{Special: name}
		} else {
			v.File = &File{Kind: Device, Name: "/dev/x", Readable: true, MapFlags: VM_DONTDUMP | flags}
		}
		m.insert(seg(at(0), 2, v))
		return Result{}
	}
}

// TestProtectionKeys: which ones a program has is the host's to know; that of execute-only memory is none
// that a program has named.
func TestProtectionKeys(t *testing.T) {
	keys := func(cfg *Config, _ *Caller) { cfg.Pkeys = true }
	protect := func(pages, prot uint64, key int) op {
		return func(m *MemoryManager, c *Caller) Result { return m.MProtect(c, at(0), pages*pg, prot, key) }
	}
	area := mmapOp(at(0), 4, 1, fixed)
	runCalls(t, []callCase{
		{name: "none without hardware", ops: []op{area, protect(1, 1, 0)}, want: linux.EINVAL, list: "0:4r--"},
		{name: "no such key", set: keys, ops: []op{area, protect(1, 1, 16)}, want: linux.EINVAL, list: "0:4r--"},
		{name: "the key that everybody has", set: keys, ops: []op{area, protect(1, 3, 0)}, list: "0:1rw- 1:4r--"},
		{name: "any other", set: keys, ops: []op{area, protect(1, 1, 3)}, unsure: true, list: "0:4r--"},
		{name: "the range before the key", set: keys, ops: []op{area, func(m *MemoryManager, c *Caller) Result {
			return m.MProtect(c, at(0), ^uint64(0), 1, 16)
		}}, want: linux.ENOMEM, list: "0:4r--"},
		{name: "the key before what is mapped", set: keys, ops: []op{protect(1, 1, 16)}, want: linux.EINVAL},
		{name: "execute-only memory keeps apart from other", set: keys, ops: []op{mmapOp(at(0), 2, 4, fixed), mmapOp(at(2), 2, 4, fixed), protect(2, 1, 0), protect(2, 4, -1)}, list: "0:4--x"},
		{name: "what is no longer execute-only has key 0 again", set: keys, ops: []op{area, protect(2, 4, -1), protect(2, 1, -1)}, list: "0:4r--"},
	})
}

func TestMRemapRules(t *testing.T) {
	const may, fix, keep = linux.MREMAP_MAYMOVE, linux.MREMAP_MAYMOVE | linux.MREMAP_FIXED, linux.MREMAP_MAYMOVE | linux.MREMAP_DONTUNMAP
	area := mmapOp(at(0), 4, rw, fixed)
	locked := mmapOp(at(0), 4, rw, fixed|linux.MAP_LOCKED)
	stack := uint64(testStack.Length())
	limit := func(set func(c *Caller)) func(*Config, *Caller) {
		return func(_ *Config, c *Caller) { c.Creds.IPCLock = false; set(c) }
	}
	fourPages := limit(func(c *Caller) { c.Limits.MemLock = 4 * pg })
	as := limit(func(c *Caller) { c.Limits.AS = stack + 5*pg })
	shm := func(m *MemoryManager, c *Caller) Result {
		return m.ShmAt(c, &File{Kind: SysV, Size: 2 * pg}, at(4), 0)
	}
	runCalls(t, []callCase{
		{name: "unknown flags before the alignment", ops: []op{area, mremapOp(at(0)+1, 4, 4, 8, 0)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "the alignment before what is mapped", ops: []op{mremapOp(at(0)+1, 4, 4, 0, 0)}, want: linux.EINVAL},
		{name: "no new length", ops: []op{area, mremapOp(at(0), 4, 0, 0, 0)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "a place that is not aligned", ops: []op{area, mremapOp(at(0), 4, 4, fix, at(9)+1)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "a place beyond all", ops: []op{area, mremapOp(at(0), 4, 4, fix, testStack.End)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "a place without MAYMOVE", ops: []op{area, mremapOp(at(0), 4, 4, linux.MREMAP_FIXED, at(9))}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "the seal before the length", ops: []op{area, msealOp(at(0), 4), mremapOp(at(0), 9, 12, may, 0)}, want: linux.EPERM, list: "0:4rw-"},
		{name: "keep what must not grow", ops: []op{specialOp(VM_DONTEXPAND, ""), mremapOp(at(0), 2, 2, keep, at(9))}, want: linux.EINVAL, list: "0:2r--"},
		{name: "grow what must not", ops: []op{specialOp(VM_DONTEXPAND, ""), mremapOp(at(0), 2, 3, may, 0)}, want: linux.EFAULT, list: "0:2r--"},
		{name: "grow a device's registers where they are", ops: []op{specialOp(VM_IO, ""), mremapOp(at(0), 2, 3, 0, 0)}, want: linux.ENOMEM, list: "0:2r--"},
		{name: "move half of the kernel's own", ops: []op{specialOp(VM_DONTEXPAND, "[vdso]"), mremapOp(at(0), 1, 1, fix, at(9))}, want: linux.EINVAL, list: "0:2r--"},
		{name: "move it", ops: []op{specialOp(VM_DONTEXPAND, "[vdso]"), mremapOp(at(0), 2, 2, fix, at(9))}, list: "9:11r--", addr: at(9)},
		{name: "the end of the offsets", ops: []op{func(m *MemoryManager, c *Caller) Result {
			m.insert(seg(at(0), 2, VMA{Flags: VM_READ | VM_MAYREAD, PgOff: ^uint64(2), File: &File{Readable: true}}))
			return Result{}
		}, mremapOp(at(0), 2, 4, may, 0)}, want: linux.EINVAL, list: "0:2r--"},
		{name: "RLIMIT_MEMLOCK before RLIMIT_AS", set: func(cfg *Config, c *Caller) { fourPages(cfg, c); c.Limits.AS = stack + 4*pg }, ops: []op{locked, mremapOp(at(0), 4, 6, may, 0)}, want: linux.EAGAIN, list: "0:4rw-"},
		{name: "RLIMIT_AS", set: as, ops: []op{area, mremapOp(at(0), 4, 6, may, 0)}, want: linux.ENOMEM, list: "0:4rw-"},
		{name: "RLIMIT_AS to the page", set: as, ops: []op{area, mremapOp(at(0), 4, 5, may, 0)}, list: "0:5rw-", totals: "vm 5 data 5 exec 0 stack 0 locked 0 committed 5"},
		{name: "RLIMIT_AS of what is kept", set: as, ops: []op{area, mremapOp(at(0), 4, 4, keep, at(9))}, want: linux.ENOMEM, list: "0:4rw-"},
		{name: "locked memory grows locked", ops: []op{locked, mremapOp(at(0), 4, 6, 0, 0)}, list: "0:6rw-", totals: "vm 6 data 6 exec 0 stack 0 locked 6 committed 6"},
		{name: "more than the machine has, in place", set: func(cfg *Config, _ *Caller) { cfg.Memory = 5 }, ops: []op{area, mremapOp(at(0), 4, 10, 0, 0)}, want: linux.ENOMEM, list: "0:4rw-"},
		{name: "more than the machine has, elsewhere", set: func(cfg *Config, _ *Caller) { cfg.Memory = 5 }, ops: []op{area, mmapOp(at(4), 1, 1, fixed), mremapOp(at(0), 4, 10, may, 0)}, want: linux.ENOMEM, list: "0:4rw- 4:5r--"},
		{name: "no room at all", ops: []op{area, mmapOp(at(4), 1, 1, fixed), mremapOp(at(0), 4, 1<<35-100, may, 0)}, want: linux.ENOMEM, list: "0:4rw- 4:5r--"},
		{name: "onto its own second half", ops: []op{mmapOp(at(0), 4, rw, sharedAn|linux.MAP_FIXED), mremapOp(at(0), 0, 2, fix, at(0))}, want: linux.EFAULT, partial: true, list: "2:4rw-s"},
		{name: "what was in the way is gone when the rest fails", ops: []op{area, mmapOp(at(9), 1, 1, fixed), msealOp(at(3), 1), mremapOp(at(0), 4, 1, fix, at(9))}, want: linux.EPERM, partial: true, list: "0:1rw- 1:3rw- 3:4rw-"},
		{name: "below the lowest address it does not grow", set: func(cfg *Config, c *Caller) { cfg.DACMinAddr, c.Creds.SysRawIO = hostarch.Addr(0x10000+pg), false }, ops: []op{specialOp(0, ""), mremapOp(at(0), 2, 3, 0, 0)}, want: linux.ENOMEM, list: "0:2r--"},
		{name: "several, but one is a segment", ops: []op{area, shm, mremapOp(at(0), 6, 6, fix, at(9))}, want: linux.EFAULT, partial: true, list: "4:6rw-s 9:13rw-"},
		{name: "a segment alone", ops: []op{area, shm, mremapOp(at(4), 2, 2, fix, at(9))}, list: "0:4rw- 9:11rw-s"},
		{name: "a duplicate of a segment", ops: []op{shm, mremapOp(at(4), 0, 1, fix, at(9))}, list: "4:6rw-s 9:10rw-s"},
	})
}

// TestUnsureMoves: without mmap_base, where something goes is not known.
func TestUnsureMoves(t *testing.T) {
	m, c := newCore(t, coreConfig())
	mmapOp(at(0), 2, rw, fixed)(m, c)
	m.SetMmapBase(0)
	before := m.show()
	for name, o := range map[string]op{
		"move to where there is room":  mremapOp(at(0), 1, 3, linux.MREMAP_MAYMOVE, 0),
		"keep, and move":               mremapOp(at(0), 2, 2, linux.MREMAP_MAYMOVE|linux.MREMAP_DONTUNMAP, 0),
		"huge shared memory":           mmapOp(0, 512, rw, sharedAn),
		"huge anonymous memory":        mmapOp(0, 512, rw, private),
		"what has no place":            mmapOp(0, 1<<34, rw, private),
		"a search upwards, from where": mmapOp(0, 1, rw, private),
	} {
		if res := o(m, c); !res.Unsure || m.show() != before {
			t.Errorf("%s: %+v, %s", name, res, m.show())
		}
	}
}

// TestMovedOffsets: of memory that may have been written or not it is not known which offset it has at its
// new place; the manager says so where that shows.
func TestMovedOffsets(t *testing.T) {
	for _, x := range []struct {
		name  string
		below op
		want  bool
	}{
		{"alone", mmapOp(at(30), 1, rw, fixed), false},
		{"next to its like", mmapOp(at(9), 1, rw, fixed), true},
		{"next to other memory", mmapOp(at(9), 1, 1, fixed), false},
	} {
		m, c := newCore(t, coreConfig())
		mmapOp(at(0), 2, rw, fixed)(m, c)
		x.below(m, c)
		res := mremapOp(at(0), 2, 2, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, at(10))(m, c)
		if res.Errno != 0 || res.Guess != x.want {
			t.Errorf("%s: %s, a guess: %v", x.name, res.Errno.Name(), res.Guess)
		}
	}
}

func TestMAdviseRules(t *testing.T) {
	area := mmapOp(at(0), 4, rw, fixed)
	admin := func(_ *Config, c *Caller) { c.Creds.SysAdmin = true }
	faults := func(cfg *Config, _ *Caller) { cfg.MemFailure = true }
	half := &File{Readable: true, Writable: true, Size: 2 * pg}
	file := func(f *File, flags uint64) op {
		return argsOp(MMapArgs{Addr: at(0), Length: 4 * pg, Prot: rw, Flags: flags | linux.MAP_FIXED, File: f})
	}
	advise := func(addr hostarch.Addr, length uint64, advice int) op {
		return func(m *MemoryManager, c *Caller) Result { return m.MAdvise(c, addr, length, advice) }
	}
	runCalls(t, []callCase{
		{name: "an unknown advice before the range", ops: []op{advise(at(0)+1, ^uint64(0), 99)}, want: linux.EINVAL},
		{name: "the alignment before that there is nothing to do", ops: []op{advise(at(0)+1, 0, 0)}, want: linux.EINVAL},
		{name: "a length that wraps", ops: []op{advise(at(0), ^uint64(0), 0)}, want: linux.EINVAL},
		{name: "memory errors in a kernel without", ops: []op{area, madviseOp(at(0), 1, linux.MADV_HWPOISON)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "memory errors without the right", set: faults, ops: []op{area, madviseOp(at(0), 1, linux.MADV_SOFT_OFFLINE)}, want: linux.EPERM, list: "0:4rw-"},
		{name: "memory errors with it", set: func(cfg *Config, c *Caller) { faults(cfg, c); admin(cfg, c) }, ops: []op{area, madviseOp(at(0), 1, linux.MADV_HWPOISON)}, unsure: true, list: "0:4rw-"},
		{name: "no KSM", set: func(cfg *Config, _ *Caller) { cfg.KSM = false }, ops: []op{area, madviseOp(at(0), 1, linux.MADV_MERGEABLE)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "no huge pages", set: func(cfg *Config, _ *Caller) { cfg.THP = false }, ops: []op{area, madviseOp(at(0), 1, linux.MADV_HUGEPAGE)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "a device's registers are never forked", ops: []op{specialOp(VM_IO|VM_DONTCOPY, ""), madviseOp(at(0), 2, linux.MADV_DOFORK)}, want: linux.EINVAL, list: "0:2r--"},
		{name: "nor dumped", ops: []op{specialOp(VM_IO, ""), madviseOp(at(0), 2, linux.MADV_DODUMP)}, want: linux.EINVAL, list: "0:2r--"},
		{name: "nor populated", ops: []op{specialOp(VM_IO, ""), madviseOp(at(0), 2, linux.MADV_POPULATE_READ)}, want: linux.EINVAL, list: "0:2r--"},
		{name: "pages of page frames are not discarded", ops: []op{specialOp(VM_PFNMAP, ""), madviseOp(at(0), 2, linux.MADV_DONTNEED_LOCKED)}, want: linux.EINVAL, list: "0:2r--"},
		{name: "no guard in them", ops: []op{specialOp(VM_PFNMAP, ""), madviseOp(at(0), 2, linux.MADV_GUARD_REMOVE)}, want: linux.EINVAL, list: "0:2r--"},
		{name: "they do not collapse", ops: []op{specialOp(VM_PFNMAP, ""), madviseOp(at(0), 2, linux.MADV_COLLAPSE)}, want: linux.EINVAL, list: "0:2r--"},
		{name: "populate past the end of a file", ops: []op{file(half, linux.MAP_PRIVATE), madviseOp(at(1), 3, linux.MADV_POPULATE_WRITE)}, want: linux.EFAULT, partial: true, list: "0:4rw-"},
		{name: "populate what is there of it", ops: []op{file(half, linux.MAP_PRIVATE), madviseOp(at(0), 2, linux.MADV_POPULATE_WRITE)}, list: "0:4rw-"},
		{name: "populate a file of which the size is not known", ops: []op{file(&File{Readable: true, Writable: true}, linux.MAP_SHARED), madviseOp(at(0), 1, linux.MADV_POPULATE_READ)}, unsure: true, list: "0:4rw-s"},
		{name: "punch a hole into a file", ops: []op{file(half, linux.MAP_SHARED), madviseOp(at(0), 1, linux.MADV_REMOVE)}, unsure: true, list: "0:4rw-s"},
		{name: "into a private mapping of it", ops: []op{file(half, linux.MAP_PRIVATE), madviseOp(at(0), 1, linux.MADV_REMOVE)}, want: linux.EACCES, list: "0:4rw-"},
		{name: "sealed memory that cannot be written is not wiped", ops: []op{mmapOp(at(0), 4, 1, fixed), msealOp(at(0), 4), madviseOp(at(0), 1, linux.MADV_WIPEONFORK)}, want: linux.EPERM, list: "0:4r--"},
		{name: "too many VMAs are a shortage of the moment", set: func(cfg *Config, _ *Caller) { cfg.MaxMapCount = 2 }, ops: []op{area, madviseOp(at(0), 1, linux.MADV_RANDOM)}, want: linux.EAGAIN, list: "0:4rw-"},
		{name: "the second split was one too many", set: func(cfg *Config, _ *Caller) { cfg.MaxMapCount = 3 }, ops: []op{area, madviseOp(at(1), 1, linux.MADV_RANDOM)}, want: linux.EAGAIN, partial: true, list: "0:1rw- 1:4rw-"},
	})
	m, c := newCore(t, coreConfig())
	m.AssumeUntouched()
	area(m, c)
	m.AdoptMAdvise(c, at(0), pg, linux.MADV_POPULATE_WRITE)
	mprotectOp(at(0), 4, 1)(m, c)
	if got := m.Totals().show(); got != "vm 4 data 0 exec 0 stack 0 locked 0 committed 4" {
		t.Errorf("memory that the host has populated was returned: %s", got)
	}
}

func TestMLockRules(t *testing.T) {
	area := mmapOp(at(0), 4, rw, fixed)
	lock := func(length, flags uint64) op {
		return func(m *MemoryManager, c *Caller) Result { return m.MLock(c, at(0), length, flags) }
	}
	nothing := func(_ *Config, c *Caller) { c.Creds.IPCLock, c.Limits.MemLock = false, 0 }
	little := func(_ *Config, c *Caller) { c.Creds.IPCLock, c.Limits.MemLock = false, 3*pg }
	file := argsOp(MMapArgs{Addr: at(0), Length: 4 * pg, Prot: 1, Flags: linux.MAP_PRIVATE | linux.MAP_FIXED, File: &File{Readable: true}})
	short := argsOp(MMapArgs{Addr: at(0), Length: 4 * pg, Prot: 1, Flags: linux.MAP_PRIVATE | linux.MAP_FIXED, File: &File{Readable: true, Size: 2 * pg}})
	runCalls(t, []callCase{
		{name: "flags before the right", set: nothing, ops: []op{area, lock(pg, 2)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "the right before the range", set: nothing, ops: []op{area, lock(1<<63-1, 0)}, want: linux.EPERM, list: "0:4rw-"},
		{name: "the limit before the range", set: little, ops: []op{area, lock(^uint64(0)-4*pg, 0)}, want: linux.ENOMEM, list: "0:4rw-"},
		{name: "a range that wraps", ops: []op{area, lock(^uint64(0)-4*pg, 0)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "unlock a range that wraps", ops: []op{area, func(m *MemoryManager, c *Caller) Result { return m.MUnlock(c, at(0), ^uint64(0)-4*pg) }}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "all, past the limit", set: little, ops: []op{area, func(m *MemoryManager, c *Caller) Result { return m.MLockAll(c, linux.MCL_CURRENT) }}, want: linux.ENOMEM, list: "0:4rw-"},
		{name: "all, without the right", set: nothing, ops: []op{area, func(m *MemoryManager, c *Caller) Result { return m.MLockAll(c, linux.MCL_FUTURE) }}, want: linux.EPERM, list: "0:4rw-"},
		{name: "a file, whose pages may not be there", ops: []op{file, lock(4*pg, 0)}, unsure: true, list: "0:4r--"},
		{name: "which the host has locked", ops: []op{file, func(m *MemoryManager, c *Caller) Result { m.AdoptMLock(c, at(0), 4*pg, 0); return Result{} }}, list: "0:4r--", totals: "vm 4 data 0 exec 0 stack 0 locked 4 committed 0"},
		{name: "a file on fault", ops: []op{file, lock(4*pg, linux.MLOCK_ONFAULT)}, list: "0:4r--", totals: "vm 4 data 0 exec 0 stack 0 locked 4 committed 0"},
		{name: "past the end of a file", ops: []op{short, lock(4*pg, 0)}, want: linux.ENOMEM, partial: true, list: "0:4r--", totals: "vm 4 data 0 exec 0 stack 0 locked 4 committed 0"},
		{name: "guards fault", ops: []op{area, madviseOp(at(0), 1, linux.MADV_GUARD_INSTALL), lock(pg, 0)}, want: linux.ENOMEM, partial: true, list: "0:1rw- 1:4rw-"},
		{name: "a device's registers are passed over", ops: []op{specialOp(VM_IO|VM_PFNMAP, ""), lock(2*pg, 0)}, list: "0:2r--", totals: "vm 2 data 0 exec 0 stack 0 locked 0 committed 0"},
		{name: "locks are there for mlockall's future, and charged to brk", ops: []op{func(m *MemoryManager, c *Caller) Result { return m.MLockAll(c, linux.MCL_FUTURE) }, brkOp(2)}, list: "brk+0:brk+2rw-", totals: "vm 2 data 2 exec 0 stack 0 locked 2 committed 2"},
	})
	m, c := newCore(t, coreConfig())
	if m.Locks() {
		t.Error("nothing is locked")
	}
	m.MLockAll(c, linux.MCL_FUTURE)
	if !m.Locks() {
		t.Error("something will be locked")
	}
}

func TestPolicyRules(t *testing.T) {
	area := mmapOp(at(0), 4, rw, fixed)
	bind := func(addr hostarch.Addr, length, mode, flags uint64) op {
		return func(m *MemoryManager, c *Caller) Result { return m.MBind(c, addr, length, mode, 1, flags) }
	}
	home := func(addr hostarch.Addr, length, node, flags uint64) op {
		return func(m *MemoryManager, c *Caller) Result {
			return m.SetMempolicyHomeNode(c, addr, length, node, flags)
		}
	}
	adopt := func(flags uint64, errno linux.Errno) op {
		return func(m *MemoryManager, c *Caller) Result {
			m.AdoptMBind(c, at(0), pg, mpolBind, 1, flags, errno)
			return Result{}
		}
	}
	none := func(cfg *Config, _ *Caller) { cfg.NUMA = false }
	name := func(length uint64, s string) op {
		return func(m *MemoryManager, c *Caller) Result {
			m.cfg.AnonVMAName = true
			return m.SetAnonName(c, at(0), length, s)
		}
	}
	const split = "0:1rw- 1:4rw-"
	runCalls(t, []callCase{
		{name: "one node only", set: none, ops: []op{bind(at(0), pg, mpolMax, 0)}, want: linux.ENOSYS},
		{name: "one node only, home", set: none, ops: []op{home(at(0), pg, 0, 9)}, want: linux.ENOSYS},
		{name: "static and relative", ops: []op{area, bind(at(0), pg, mpolBind|mpolStaticNodes|mpolRelativeNodes, 0)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "balancing what is not bound", ops: []op{area, bind(at(0), pg, 1|mpolNumaBalancing, 0)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "balancing what is", ops: []op{area, bind(at(0), pg, mpolBind|mpolNumaBalancing, 0)}, list: split},
		{name: "unknown flags before the right", ops: []op{area, bind(at(0), pg, mpolBind, mbindMoveAll|8)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "the right before the alignment", ops: []op{area, bind(at(0)+1, pg, mpolBind, mbindMoveAll)}, want: linux.EPERM, list: "0:4rw-"},
		{name: "moving all with the right", set: func(_ *Config, c *Caller) { c.Creds.SysNice = true }, ops: []op{area, bind(at(0), pg, mpolBind, mbindMoveAll)}, list: split},
		{name: "the alignment", ops: []op{area, bind(at(0)+1, pg, mpolBind, 0)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "a range that wraps", ops: []op{area, bind(at(0), ^uint64(0x10000-pg-1), mpolBind, 0)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "nothing to do", ops: []op{area, bind(at(9), 0, mpolBind, 0)}, list: "0:4rw-"},
		{name: "local with nodes", ops: []op{area, bind(at(0), pg, mpolLocal|mpolStaticNodes, 0)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "strictly: the host knows where the pages are", ops: []op{area, bind(at(0), pg, mpolBind, mbindStrict)}, unsure: true, list: "0:4rw-"},
		{name: "they were there", ops: []op{area, adopt(mbindStrict, 0)}, list: split},
		{name: "they were not", ops: []op{area, adopt(mbindStrict, linux.EIO)}, list: "0:4rw-"},
		{name: "they were not, and not all could be moved", ops: []op{area, adopt(mbindStrict|mbindMove, linux.EIO)}, list: split},
		{name: "the call was wrong", ops: []op{area, adopt(mbindStrict, linux.EFAULT)}, list: "0:4rw-"},
		{name: "home: the alignment", ops: []op{area, home(at(0)+1, pg, 0, 0)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "home: a node that only the host knows", ops: []op{area, home(at(0), pg, 1, 0)}, unsure: true, list: "0:4rw-"},
		{name: "home: a range that wraps", ops: []op{area, home(at(0), ^uint64(0x10000-pg-1), 0, 0)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "home: nothing to do", ops: []op{area, home(at(0), 0, 0, 0)}, list: "0:4rw-"},
		{name: "a name of more than 79 letters", ops: []op{area, name(pg, strings.Repeat("x", 80))}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "a name with a newline", ops: []op{area, name(pg, "a\nb")}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "nothing to name", ops: []op{area, name(0, "x")}, list: "0:4rw-"},
		{name: "the name that it has", ops: []op{area, name(pg, "x"), name(pg, "x")}, list: split},
		{name: "no name any more", ops: []op{area, name(pg, "x"), name(pg, "")}, list: "0:4rw-"},
	})
}

func TestPrctlRules(t *testing.T) {
	m, _ := newCore(t, coreConfig())
	cfgOf := func(c Config) *MemoryManager { return New(&c) }
	stacks := cfgOf(Config{UserShadowStack: true})
	for _, x := range []struct {
		name string
		got  Result
		want linux.Errno
		addr hostarch.Addr
	}{
		{"MDWE is not set", m.GetMDWE(0, 0, 0, 0), 0, 0},
		{"arguments of PR_GET_MDWE", m.GetMDWE(1, 0, 0, 0), linux.EINVAL, 0},
		{"MDWE that is not inherited", m.SetMDWE(3, 0, 0, 0), 0, 0},
		{"both bits", m.GetMDWE(0, 0, 0, 0), 0, 3},
		{"KSM for nothing", m.GetMemoryMerge(0, 0, 0, 0), 0, 0},
		{"arguments of PR_SET_MEMORY_MERGE", m.SetMemoryMerge(1, 1, 0, 0), linux.EINVAL, 0},
		{"KSM for all", m.SetMemoryMerge(2, 0, 0, 0), 0, 0},
		{"which is now so", m.GetMemoryMerge(0, 0, 0, 0), 0, 1},
		{"arguments of PR_GET_MEMORY_MERGE", m.GetMemoryMerge(0, 0, 1, 0), linux.EINVAL, 0},
		{"a kernel without KSM", cfgOf(Config{}).GetMemoryMerge(0, 0, 0, 0), linux.EINVAL, 0},
		{"no huge pages", m.SetTHPDisable(1, 0, 0, 0), 0, 0},
		{"but for those asked for", m.SetTHPDisable(1, 2, 0, 0), 0, 0},
		{"enabling them takes no flags", m.SetTHPDisable(0, 2, 0, 0), linux.EINVAL, 0},
		{"an unknown flag", m.SetTHPDisable(1, 1, 0, 0), linux.EINVAL, 0},
		{"shadow stack: an unknown flag", stacks.MapShadowStack(nil, 1, 0, 2), linux.EINVAL, 0},
		{"shadow stack: no room for the token", stacks.MapShadowStack(nil, 1, 7, 1), linux.ENOSPC, 0},
		{"shadow stack: below 4 GiB", stacks.MapShadowStack(nil, 1, 8, 1), linux.ERANGE, 0},
		{"shadow stack: a size that wraps", stacks.MapShadowStack(nil, 0, ^uint64(0), 0), linux.EOVERFLOW, 0},
	} {
		if x.got.Errno != x.want || x.got.Addr != x.addr || x.got.Unsure {
			t.Errorf("%s: %+v", x.name, x.got)
		}
	}
	if res := stacks.MapShadowStack(nil, 0, pg, 0); !res.Unsure {
		t.Errorf("a shadow stack: %+v", res)
	}
}

// TestInvariantsAreChecked: CheckInvariants finds each of the contradictions that it is there for.
func TestInvariantsAreChecked(t *testing.T) {
	for _, x := range []struct {
		name  string
		spoil func(m *MemoryManager)
		want  string
	}{
		{"a VMA of half a page", func(m *MemoryManager) {
			m.insert(segment.Segment[VMA]{Start: uint64(at(0)), End: uint64(at(0)) + 8})
		}, "not page-aligned"},
		{"above the task size", func(m *MemoryManager) { m.insert(seg(m.cfg.TaskSize, 1, VMA{})) }, "above the task size"},
		{"shared, and not VM_MAYSHARE", func(m *MemoryManager) { m.insert(seg(at(0), 1, VMA{Flags: VM_SHARED})) }, "not VM_MAYSHARE"},
		{"shared, and charged", func(m *MemoryManager) {
			m.insert(seg(at(0), 1, VMA{Flags: VM_SHARED | VM_MAYSHARE | VM_ACCOUNT}))
		}, "charged"},
		{"equal neighbours", func(m *MemoryManager) {
			m.insert(seg(at(0), 1, VMA{PgOff: 16}))
			m.insert(seg(at(1), 1, VMA{PgOff: 17}))
		}, "not merged"},
		{"totals", func(m *MemoryManager) { m.totals.DataVM++ }, "sum up"},
		{"pages that are not copied", func(m *MemoryManager) { m.dontCopy++ }, "VM_DONTCOPY"},
	} {
		m, _ := newCore(t, coreConfig())
		x.spoil(m)
		if err := m.CheckInvariants(); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}

// TestSeedKinds: what kind of file a mapping has is told from its name.
func TestSeedKinds(t *testing.T) {
	entry := func(n uint64, name string, shared bool) procmaps.Entry {
		return procmaps.Entry{Range: hostarch.Range(at(n), pg), Read: true, Write: true, Shared: shared, Name: name, Ino: n + 1}
	}
	m := New(coreConfig())
	segment := entry(1, "/SYSV00000000 (deleted)", true)
	segment.Minor = 1 // else it is one of huge pages
	err := m.Seed([]procmaps.Entry{
		entry(0, "/anon_hugepage (deleted)", false), segment, entry(2, "/[aio] (deleted)", true),
		entry(3, "/dev/zero", false), entry(4, "/memfd:x (deleted)", false), entry(5, "/dev/zero (deleted)", true),
		entry(6, "/dev/fb0", true), entry(7, "/dev/shm/x", true), entry(8, "/lib/x", false),
	}, SeedInfo{Inherit: &MemoryManager{defFlags: VM_NOHUGEPAGE | VM_LOCKED}})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []FileKind{Hugetlb, SysV, Ring, DevZero, Shmem, Shmem, Device, Regular, Regular} {
		if _, v, _ := m.Find(at(uint64(n))); v.File.Kind != want {
			t.Errorf("%s is of kind %d, want %d", v.File.Name, v.File.Kind, want)
		}
	}
	if m.defFlags != VM_NOHUGEPAGE {
		t.Errorf("an exec has inherited %#x", m.defFlags)
	}
	if m.Totals().Committed != 3 {
		t.Errorf("%d pages charged, want 3", m.Totals().Committed)
	}
	bad := []procmaps.Entry{{Range: hostarch.AddrRange{Start: at(0), End: at(1) - 1}}}
	if err := m.Seed(bad, SeedInfo{}); err == nil {
		t.Error("half a page was seeded")
	}
}
