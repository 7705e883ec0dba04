package mm

import (
	"fmt"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

func mremapOp(addr hostarch.Addr, from, to, flags uint64, newAddr hostarch.Addr) op {
	return func(m *MemoryManager, c *Caller) Result {
		return m.MRemap(c, addr, from*pg, to*pg, flags, newAddr)
	}
}

func madviseOp(addr hostarch.Addr, pages uint64, advice int) op {
	return func(m *MemoryManager, c *Caller) Result { return m.MAdvise(c, addr, pages*pg, advice) }
}

func mlockOp(addr hostarch.Addr, pages uint64) op {
	return func(m *MemoryManager, c *Caller) Result { return m.MLock(c, addr, pages*pg, 0) }
}

func msealOp(addr hostarch.Addr, pages uint64) op {
	return func(m *MemoryManager, c *Caller) Result { return m.MSeal(c, addr, pages*pg, 0) }
}

// callCase makes calls; the last one is answered with want and leaves the VMAs list.
type callCase struct {
	name    string
	set     func(*Config, *Caller) // what is not as usual
	ops     []op
	want    linux.Errno
	partial bool
	unsure  bool
	addr    hostarch.Addr // what was returned, where that matters
	list    string
	totals  string // where they matter; see show
}

// show prints the totals in pages, without the stack's.
func (t Totals) show() string {
	stack := uint64(testStack.Length()) / pg
	return fmt.Sprintf("vm %d data %d exec %d stack %d locked %d committed %d",
		t.TotalVM-stack, t.DataVM, t.ExecVM, t.StackVM-stack, t.LockedVM, t.Committed-stack)
}

func runCalls(t *testing.T, cases []callCase) {
	t.Helper()
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			cfg := coreConfig()
			m, c := newCore(t, cfg)
			m.AssumeUntouched()
			c.Creds.IPCLock = true
			if x.set != nil {
				x.set(cfg, c)
			}
			var res Result
			for _, o := range x.ops {
				res = o(m, c)
			}
			if res.Errno != x.want || res.Partial != x.partial || res.Unsure != x.unsure {
				t.Errorf("answered %s, partial %v, unsure %v", res.Errno.Name(), res.Partial, res.Unsure)
			}
			if x.addr != 0 && res.Addr != x.addr {
				t.Errorf("returned %v, want %v", res.Addr, x.addr)
			}
			if got := m.show(); got != x.list {
				t.Errorf("list %s\nwant %s", got, x.list)
			}
			if got := m.totals.show(); x.totals != "" && got != x.totals {
				t.Errorf("totals %s\nwant %s", got, x.totals)
			}
			if err := m.CheckInvariants(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMRemap(t *testing.T) {
	const move, fix, keep = linux.MREMAP_MAYMOVE, linux.MREMAP_MAYMOVE | linux.MREMAP_FIXED, linux.MREMAP_MAYMOVE | linux.MREMAP_DONTUNMAP
	area := mmapOp(at(0), 4, rw, fixed)
	runCalls(t, []callCase{
		{name: "same size", ops: []op{area, mremapOp(at(0), 4, 4, 0, 0)}, list: "0:4rw-"},
		{name: "nothing there", ops: []op{area, mremapOp(at(9), 1, 1, 0, 0)}, want: linux.EFAULT, list: "0:4rw-"},
		{name: "shrink", ops: []op{area, mremapOp(at(0), 4, 1, 0, 0)}, list: "0:1rw-"},
		{name: "shrink over several VMAs", ops: []op{area, mprotectOp(at(2), 1, 1), mremapOp(at(0), 4, 1, 0, 0)}, list: "0:1rw-"},
		{name: "grow", ops: []op{area, mremapOp(at(0), 4, 6, 0, 0)}, list: "0:6rw-"},
		{name: "grow up to a neighbour", ops: []op{area, mmapOp(at(6), 2, rw, fixed), mremapOp(at(0), 4, 6, 0, 0)}, list: "0:8rw-"},
		{name: "no room to grow", ops: []op{area, mmapOp(at(5), 2, 1, fixed), mremapOp(at(0), 4, 6, 0, 0)}, want: linux.ENOMEM, list: "0:4rw- 5:7r--"},
		{name: "the middle does not grow", ops: []op{area, mremapOp(at(0), 2, 3, 0, 0)}, want: linux.ENOMEM, list: "0:4rw-"},
		{name: "grow by moving", ops: []op{area, mmapOp(at(5), 2, 1, fixed), mremapOp(at(0), 4, 6, move, 0)}, list: "5:7r-- -6:-0rw-"},
		{name: "across two VMAs", ops: []op{area, mprotectOp(at(2), 2, 1), mremapOp(at(0), 4, 5, move, 0)}, want: linux.EFAULT, list: "0:2rw- 2:4r--"},
		{name: "move part", ops: []op{area, mremapOp(at(1), 2, 2, fix, at(10))}, list: "0:1rw- 3:4rw- 10:12rw-"},
		{name: "move onto others", ops: []op{area, mmapOp(at(10), 4, 1, fixed), mremapOp(at(0), 2, 2, fix, at(11))}, list: "2:4rw- 10:11r-- 11:13rw- 13:14r--"},
		{name: "move several with their gap", ops: []op{area, mmapOp(at(6), 1, 1, fixed), mremapOp(at(2), 6, 6, fix, at(20))}, list: "0:2rw- 20:22rw- 24:25r--"},
		{name: "a gap at the start", ops: []op{area, mremapOp(at(8), 2, 2, fix, at(20))}, want: linux.EFAULT, list: "0:4rw-"},
		{name: "move next to its rest", ops: []op{area, mremapOp(at(0), 1, 1, fix, at(4))}, list: "1:5rw-"},
		{name: "overlap", ops: []op{area, mremapOp(at(0), 2, 2, fix, at(1))}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "keep the old", ops: []op{area, mremapOp(at(0), 4, 4, keep, at(20))}, list: "0:4rw- 20:24rw-"},
		{name: "keep and resize", ops: []op{area, mremapOp(at(0), 4, 5, keep, at(20))}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "duplicate private", ops: []op{area, mremapOp(at(0), 0, 1, move, 0)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "duplicate shared", ops: []op{mmapOp(at(0), 4, rw, fixed&^linux.MAP_PRIVATE|linux.MAP_SHARED), mremapOp(at(0), 0, 1, move, 0)}, list: "0:4rw-s -1:-0rw-s"},
		{name: "sealed", ops: []op{area, msealOp(at(0), 4), mremapOp(at(0), 4, 1, 0, 0)}, want: linux.EPERM, list: "0:4rw-"},
		{name: "the tail is sealed", ops: []op{area, msealOp(at(3), 1), mremapOp(at(0), 4, 1, 0, 0)}, want: linux.EPERM, partial: true, list: "0:1rw- 1:3rw- 3:4rw-"},
		{name: "the end of the move is not there", ops: []op{mmapOp(at(0), 4, rw, fixed), mmapOp(at(8), 2, 1, fixed), mremapOp(at(1), 9, 1, fix, at(8))}, want: linux.EINVAL, list: "0:4rw- 8:10r--"},
	})
}

func TestMRemapMapCount(t *testing.T) {
	cfg := coreConfig()
	m, c := newCore(t, cfg)
	mmapOp(at(0), 4, rw, fixed)(m, c)
	mmapOp(at(5), 1, 1, fixed)(m, c)
	count := m.Totals().MapCount
	for _, x := range []struct {
		below int // how far map_count lies below the limit
		op    op
		want  linux.Errno
	}{
		{6, mremapOp(at(1), 1, 1, 3, at(20)), 0},
		{5, mremapOp(at(1), 1, 1, 3, at(20)), linux.ENOMEM},
		{4, mremapOp(at(0), 4, 6, 1, 0), 0},
		{3, mremapOp(at(0), 4, 6, 1, 0), linux.ENOMEM},
		{0, mremapOp(at(0), 4, 5, 0, 0), 0},
	} {
		cfg.MaxMapCount = count + x.below
		s := m.Snapshot()
		if res := x.op(m, c); res.Errno != x.want || x.want != 0 && res.Refusal.Resource != limits.MapCount {
			t.Errorf("%d below the limit: %s", x.below, res.Errno.Name())
		}
		m.Restore(s)
	}
}

// TestMRemapLockedLeak: what MREMAP_DONTUNMAP leaves behind is not locked, and stays counted.
func TestMRemapLockedLeak(t *testing.T) {
	m, c := newCore(t, coreConfig())
	mmapOp(at(0), 8, rw, fixed)(m, c)
	mlockOp(at(0), 8)(m, c)
	mremapOp(at(0), 2, 2, 5, at(20))(m, c)
	if got := m.Totals().LockedVM; got != 10 {
		t.Errorf("%d pages locked, want 10", got)
	}
	munmapOp(at(0), 40)(m, c)
	if got := m.Totals().LockedVM; got != 8 {
		t.Errorf("%d pages locked after unmapping all, want 8", got)
	}
	if err := m.CheckInvariants(); err != nil {
		t.Error(err)
	}
}

func TestMAdvise(t *testing.T) {
	area := mmapOp(at(0), 4, rw, fixed)
	sharedArea := mmapOp(at(0), 4, rw, sharedAn|linux.MAP_FIXED)
	runCalls(t, []callCase{
		{name: "unknown", ops: []op{area, madviseOp(at(0), 1, 99)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "not aligned", ops: []op{area, madviseOp(at(0)+1, 1, 0)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "nothing to do", ops: []op{area, madviseOp(at(9), 0, 0)}, list: "0:4rw-"},
		{name: "flags split", ops: []op{area, madviseOp(at(1), 1, linux.MADV_DONTFORK)}, list: "0:1rw- 1:2rw- 2:4rw-"},
		{name: "and merge", ops: []op{area, madviseOp(at(1), 1, linux.MADV_DONTFORK), madviseOp(at(0), 4, linux.MADV_DOFORK)}, list: "0:4rw-"},
		{name: "holes are an error in the end", ops: []op{area, munmapOp(at(1), 1), madviseOp(at(0), 3, linux.MADV_RANDOM)}, want: linux.ENOMEM, partial: true, list: "0:1rw- 2:3rw- 3:4rw-"},
		{name: "wipe shared memory", ops: []op{sharedArea, madviseOp(at(0), 1, linux.MADV_WIPEONFORK)}, want: linux.EINVAL, list: "0:4rw-s"},
		{name: "free shared memory", ops: []op{sharedArea, madviseOp(at(0), 1, linux.MADV_FREE)}, want: linux.EINVAL, list: "0:4rw-s"},
		{name: "remove shared memory", ops: []op{sharedArea, madviseOp(at(0), 1, linux.MADV_REMOVE)}, list: "0:4rw-s"},
		{name: "remove private memory", ops: []op{area, madviseOp(at(0), 1, linux.MADV_REMOVE)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "discard locked memory", ops: []op{area, mlockOp(at(0), 4), madviseOp(at(0), 1, linux.MADV_DONTNEED)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "discard it all the same", ops: []op{area, mlockOp(at(0), 4), madviseOp(at(0), 1, linux.MADV_DONTNEED_LOCKED)}, list: "0:4rw-"},
		{name: "discard sealed memory", ops: []op{mmapOp(at(0), 4, 1, fixed), msealOp(at(0), 4), madviseOp(at(0), 1, linux.MADV_DONTNEED)}, want: linux.EPERM, list: "0:4r--"},
		{name: "discard sealed memory that can be written", ops: []op{area, msealOp(at(0), 4), madviseOp(at(0), 1, linux.MADV_DONTNEED)}, list: "0:4rw-"},
		{name: "guard locked memory", ops: []op{area, mlockOp(at(0), 4), madviseOp(at(0), 1, linux.MADV_GUARD_INSTALL)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "populate what cannot be read", ops: []op{mmapOp(at(0), 4, 0, fixed), madviseOp(at(0), 4, linux.MADV_POPULATE_READ)}, want: linux.EINVAL, list: "0:4---"},
		{name: "populate a hole", ops: []op{area, madviseOp(at(3), 2, linux.MADV_POPULATE_WRITE)}, want: linux.ENOMEM, partial: true, list: "0:4rw-"},
		{name: "populate guards", ops: []op{area, madviseOp(at(0), 1, linux.MADV_GUARD_INSTALL), madviseOp(at(0), 4, linux.MADV_POPULATE_READ)}, want: linux.EFAULT, list: "0:4rw-"},
		{name: "collapse", ops: []op{area, madviseOp(at(0), 4, linux.MADV_COLLAPSE)}, unsure: true, list: "0:4rw-"},
	})
}

func TestMLock(t *testing.T) {
	area := mmapOp(at(0), 4, rw, fixed)
	unlockAll := func(m *MemoryManager, c *Caller) Result { return m.MUnlockAll(c) }
	lockAll := func(flags uint64) op {
		return func(m *MemoryManager, c *Caller) Result { return m.MLockAll(c, flags) }
	}
	runCalls(t, []callCase{
		{name: "part", ops: []op{area, mlockOp(at(1), 2)}, list: "0:1rw- 1:3rw- 3:4rw-"},
		{name: "rounds outwards", ops: []op{area, mlockOp(at(1)+1, 1)}, list: "0:1rw- 1:3rw- 3:4rw-"},
		{name: "a hole", ops: []op{area, mlockOp(at(2), 4)}, want: linux.ENOMEM, partial: true, list: "0:2rw- 2:4rw-"},
		{name: "without access", ops: []op{mmapOp(at(0), 4, 0, fixed), mlockOp(at(0), 2)}, want: linux.ENOMEM, partial: true, list: "0:2--- 2:4---"},
		{name: "all and nothing", ops: []op{area, lockAll(linux.MCL_CURRENT), unlockAll}, list: "0:4rw-"},
		{name: "no flags", ops: []op{area, lockAll(0)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "on fault alone", ops: []op{area, lockAll(linux.MCL_ONFAULT)}, want: linux.EINVAL, list: "0:4rw-"},
	})
	m, c := newCore(t, coreConfig())
	area(m, c)
	c.Limits.MemLock = 3 * pg
	if res := m.MLock(c, at(0), 4*pg, 0); res.Errno != linux.ENOMEM || res.Refusal.Resource != limits.MemLock {
		t.Errorf("past the limit: %v", res)
	}
	m.MLock(c, at(0), 2*pg, 0)
	if res := m.MLock(c, at(0), 3*pg, 0); res.Errno != 0 {
		t.Errorf("locked pages were counted twice: %v", res)
	}
	c.Limits.MemLock = 0
	if res := m.MLock(c, at(0), pg, 0); res.Errno != linux.EPERM {
		t.Errorf("without a limit at all: %v", res)
	}
}

func TestMSync(t *testing.T) {
	m, c := newCore(t, coreConfig())
	mmapOp(at(0), 2, rw, fixed)(m, c)
	mmapOp(at(4), 2, rw, sharedAn|linux.MAP_FIXED)(m, c)
	for _, x := range []struct {
		addr   hostarch.Addr
		length uint64
		flags  uint64
		want   linux.Errno
	}{
		{at(0), 2 * pg, linux.MS_SYNC, 0},
		{at(0), 2 * pg, linux.MS_SYNC | linux.MS_ASYNC, linux.EINVAL},
		{at(0), 2 * pg, 8, linux.EINVAL},
		{at(0) + 1, pg, 0, linux.EINVAL},
		{at(0), ^uint64(0) - 2*pg, 0, linux.ENOMEM},
		{at(0), 3 * pg, 0, linux.ENOMEM},
		{at(0), 6 * pg, linux.MS_ASYNC, linux.ENOMEM},
		{at(4), 2 * pg, linux.MS_SYNC, 0},
		{at(9), 0, 0, 0},
	} {
		if res := m.MSync(c, x.addr, x.length, x.flags); res.Errno != x.want || res.Unsure {
			t.Errorf("msync(%v, %#x, %d): %s", x.addr, x.length, x.flags, res.Errno.Name())
		}
	}
	m.MLock(c, at(0), pg, 0)
	if res := m.MSync(c, at(0), pg, linux.MS_INVALIDATE); res.Errno != linux.EBUSY {
		t.Errorf("invalidate locked memory: %s", res.Errno.Name())
	}
}

func TestShm(t *testing.T) {
	shm := &File{Kind: SysV, Size: 3*pg + 1, Dev: 1, Ino: 7}
	attach := func(addr hostarch.Addr, flags uint64) op {
		return func(m *MemoryManager, c *Caller) Result { return m.ShmAt(c, shm, addr, flags) }
	}
	detach := func(addr hostarch.Addr) op {
		return func(m *MemoryManager, c *Caller) Result { return m.ShmDt(c, addr) }
	}
	runCalls(t, []callCase{
		{name: "two attachments never merge", ops: []op{attach(0, 0), attach(0, 0)}, list: "-8:-4rw-s -4:-0rw-s"},
		{name: "read-only", ops: []op{attach(at(0), linux.SHM_RDONLY)}, list: "0:4r--s"},
		{name: "not aligned", ops: []op{attach(at(0)+1, 0)}, want: linux.EINVAL},
		{name: "rounded down", ops: []op{attach(at(0)+1, linux.SHM_RND)}, list: "0:4rw-s"},
		{name: "remap nowhere", ops: []op{attach(0, linux.SHM_REMAP)}, want: linux.EINVAL},
		{name: "taken", ops: []op{mmapOp(at(3), 1, 1, fixed), attach(at(0), 0)}, want: linux.EINVAL, list: "3:4r--"},
		{name: "remap", ops: []op{mmapOp(at(3), 2, 1, fixed), attach(at(0), linux.SHM_REMAP)}, list: "0:4rw-s 4:5r--"},
		{name: "detach the pieces", ops: []op{attach(at(0), 0), munmapOp(at(1), 1), mprotectOp(at(2), 1, 1), detach(at(0))}},
		{name: "detach what lost its start", ops: []op{attach(at(0), 0), munmapOp(at(0), 1), detach(at(0))}},
		{name: "detach nothing", ops: []op{attach(at(0), 0), detach(at(1))}, want: linux.EINVAL, list: "0:4rw-s"},
	})
}

// The buffer of a perf event is unmapped whole.
func TestPerfBuffer(t *testing.T) {
	perf := &File{Kind: Device, Name: "anon_inode:[perf_event]", Dev: 1, Ino: 9, Readable: true, Writable: true}
	buffer := func(m *MemoryManager, c *Caller) Result {
		m.Adopt(c, MMapArgs{Addr: at(0), Length: 3 * pg, Prot: rw, Flags: linux.MAP_SHARED, File: perf}, at(0))
		return succeeded(0)
	}
	shrink := func(m *MemoryManager, c *Caller) Result {
		return m.MRemap(c, at(0), 3*pg, pg, linux.MREMAP_MAYMOVE, 0)
	}
	runCalls(t, []callCase{
		{name: "a part", ops: []op{buffer, munmapOp(at(1), 1)}, want: linux.EINVAL, list: "0:3rw-s"},
		{name: "protect a part", ops: []op{buffer, mprotectOp(at(1), 1, 1)}, want: linux.EINVAL, list: "0:3rw-s"},
		{name: "shrink", ops: []op{buffer, shrink}, want: linux.EINVAL, list: "0:3rw-s"},
		{name: "grow, which its driver forbids or not", ops: []op{buffer, func(m *MemoryManager, c *Caller) Result {
			if res := m.MRemap(c, at(0), 3*pg, 4*pg, linux.MREMAP_MAYMOVE, 0); !res.Unsure {
				t.Errorf("growing is decided: %+v", res)
			}
			return succeeded(0)
		}}, list: "0:3rw-s"},
		{name: "whole", ops: []op{buffer, munmapOp(at(0), 3)}},
	})
}

func TestRemapFilePages(t *testing.T) {
	remapTo := func(addr hostarch.Addr, pages, pgoff uint64) op {
		return func(m *MemoryManager, c *Caller) Result { return m.RemapFilePages(c, addr, pages*pg, 0, pgoff, 0) }
	}
	area := mmapOp(at(0), 4, rw, sharedAn|linux.MAP_FIXED)
	runCalls(t, []callCase{
		{name: "another offset", ops: []op{area, remapTo(at(1), 1, 3)}, list: "0:1rw-s 1:2rw-s 2:4rw-s"},
		{name: "and back", ops: []op{area, remapTo(at(1), 1, 3), remapTo(at(1), 1, 1)}, list: "0:4rw-s"},
		{name: "private", ops: []op{mmapOp(at(0), 4, rw, fixed), remapTo(at(1), 1, 3)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "past the end", ops: []op{area, remapTo(at(3), 2, 0)}, want: linux.EINVAL, list: "0:4rw-s"},
	})
}

func TestAIO(t *testing.T) {
	cfg := coreConfig()
	m, c := newCore(t, cfg)
	if res := m.IoSetup(c, 1); !res.Unsure {
		t.Error("the size of a ring is known without the number of cpus")
	}
	cfg.CPUs = 2
	if res := m.IoSetup(c, 0); res.Errno != linux.EINVAL {
		t.Errorf("no events: %s", res.Errno.Name())
	}
	one, many := m.IoSetup(c, 1), m.IoSetup(c, 100)
	if one.Addr != testBase-pg || many.Addr != testBase-3*pg {
		t.Errorf("rings at %v and %v", one.Addr, many.Addr)
	}
	if res := m.MRemap(c, one.Addr, pg, 2*pg, linux.MREMAP_MAYMOVE, 0); res.Errno != linux.EFAULT {
		t.Errorf("a ring grows: %s", res.Errno.Name())
	}
	if res := m.IoDestroy(many.Addr); res.Errno != 0 || m.show() != "-1:-0rw-s" {
		t.Errorf("%s, %s", res.Errno.Name(), m.show())
	}
	if res := m.IoDestroy(many.Addr); res.Errno != linux.EINVAL {
		t.Errorf("destroyed twice: %s", res.Errno.Name())
	}
}

func TestPolicies(t *testing.T) {
	bind := func(addr hostarch.Addr, pages, mode, policy uint64) op {
		return func(m *MemoryManager, c *Caller) Result { return m.MBind(c, addr, pages*pg, mode, policy, 0) }
	}
	home := func(addr hostarch.Addr, pages uint64) op {
		return func(m *MemoryManager, c *Caller) Result { return m.SetMempolicyHomeNode(c, addr, pages*pg, 0, 0) }
	}
	area := mmapOp(at(0), 4, rw, fixed)
	runCalls(t, []callCase{
		{name: "splits", ops: []op{area, bind(at(1), 1, mpolBind, 1)}, list: "0:1rw- 1:2rw- 2:4rw-"},
		{name: "merges", ops: []op{area, bind(at(1), 1, mpolBind, 1), bind(at(0), 4, mpolBind, 1)}, list: "0:4rw-"},
		{name: "a hole", ops: []op{area, bind(at(3), 2, mpolBind, 1)}, want: linux.EFAULT, list: "0:4rw-"},
		{name: "the default policy over a hole", ops: []op{area, bind(at(3), 2, mpolDefault, 0)}, list: "0:4rw-"},
		{name: "no such mode", ops: []op{area, bind(at(0), 1, mpolMax, 1)}, want: linux.EINVAL, list: "0:4rw-"},
		{name: "home node", ops: []op{area, bind(at(0), 2, mpolBind, 1), home(at(1), 3)}, list: "0:1rw- 1:2rw- 2:4rw-"},
		{name: "home node of nothing", ops: []op{area, home(at(1), 3)}, want: linux.ENOENT, list: "0:4rw-"},
		{name: "home node of interleaving", ops: []op{area, bind(at(0), 2, 3, 1), home(at(0), 2)}, want: linux.EOPNOTSUPP, list: "0:2rw- 2:4rw-"},
	})
	cfg := coreConfig()
	m, c := newCore(t, cfg)
	area(m, c)
	if res := m.SetAnonName(c, at(0), pg, "x"); res.Errno != linux.EINVAL {
		t.Errorf("a name without names: %s", res.Errno.Name())
	}
	cfg.AnonVMAName = true
	if res := m.SetAnonName(c, at(0), pg, "x"); res.Errno != 0 || m.show() != "0:1rw- 1:4rw-" {
		t.Errorf("a name: %s, %s", res.Errno.Name(), m.show())
	}
	if res := m.SetAnonName(c, at(0), pg, "[x]"); res.Errno != linux.EINVAL {
		t.Errorf("a name with brackets: %s", res.Errno.Name())
	}
}

func TestPrctl(t *testing.T) {
	m, c := newCore(t, coreConfig())
	for _, x := range []struct {
		bits, arg3 uint64
		want       linux.Errno
	}{{2, 0, linux.EINVAL}, {1, 1, linux.EINVAL}, {4, 0, linux.EINVAL}, {1, 0, 0}, {1, 0, 0}, {3, 0, linux.EPERM}, {0, 0, linux.EPERM}} {
		if res := m.SetMDWE(x.bits, x.arg3, 0, 0); res.Errno != x.want {
			t.Errorf("MDWE %d: %s", x.bits, res.Errno.Name())
		}
	}
	if res := m.GetMDWE(0, 0, 0, 0); res.Addr != 1 {
		t.Errorf("MDWE is %v", res.Addr)
	}
	mmapOp(at(0), 2, rw, fixed)(m, c)
	m.SetMemoryMerge(1, 0, 0, 0)
	mmapOp(at(2), 2, rw, fixed)(m, c)
	if got := m.show(); got != "0:4rw-" {
		t.Errorf("KSM for old and new memory: %s", got)
	}
	for _, x := range []struct {
		cfg  Config
		want linux.Errno
	}{{Config{NoShadowStack: true}, linux.ENOSYS}, {Config{}, linux.EOPNOTSUPP}} {
		m := New(&x.cfg)
		if res := m.MapShadowStack(c, 0, pg, 0); res.Errno != x.want {
			t.Errorf("shadow stack: %s", res.Errno.Name())
		}
	}
}
