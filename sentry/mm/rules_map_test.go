package mm

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// Rules of the calls that map, one table per call. What the page model covers as well is here where the
// order of the checks is the point, or what the page model has not: huge pages, devices, keys, what the
// host decides.

const huge = uint64(hostarch.HugePageSize)

// args makes a call of MMapArgs.
func argsOp(a MMapArgs) op {
	return func(m *MemoryManager, c *Caller) Result { return m.MMap(c, a) }
}

// adoptOp maps where the host did.
func adoptOp(a MMapArgs, addr hostarch.Addr) op {
	return func(m *MemoryManager, c *Caller) Result { m.Adopt(c, a, addr); return Result{Addr: addr} }
}

// hugeArgs maps huge pages, of a file or of none.
func hugeArgs(length uint64, file *File) MMapArgs {
	a := MMapArgs{Length: length, Prot: rw, Flags: linux.MAP_PRIVATE, File: file}
	if file == nil {
		a.Flags |= linux.MAP_ANONYMOUS | linux.MAP_HUGETLB
	}
	return a
}

var hugeFile = &File{Kind: Hugetlb, Name: "/hugetlbfs/x", HugeSize: huge, Readable: true, Writable: true}

// TestMMapOrder: of several things that are wrong, the one that is checked first is answered.
func TestMMapOrder(t *testing.T) {
	sealedBelow := []op{mmapOp(at(0), 2, rw, fixed), msealOp(at(0), 2)}
	full := func(cfg *Config, _ *Caller) { cfg.MaxMapCount = 0 }
	noLocks := func(_ *Config, c *Caller) { c.Creds.IPCLock, c.Limits.MemLock = false, 0 }
	wo := &File{Writable: true}
	big := &File{Readable: true, MaxSize: 4 * pg}
	runCalls(t, []callCase{
		{name: "the offset's alignment before the length", ops: []op{argsOp(MMapArgs{Offset: 1, Flags: private})}, want: linux.EINVAL},
		{name: "huge pages of the wrong size before the length", ops: []op{argsOp(MMapArgs{Flags: private | linux.MAP_HUGETLB | 13<<linux.MAP_HUGE_SHIFT})}, want: linux.EINVAL},
		{name: "a length that wraps before the offset", ops: []op{argsOp(MMapArgs{Length: ^uint64(0), Flags: linux.MAP_PRIVATE, File: wo, Offset: ^uint64(pg - 1)})}, want: linux.ENOMEM},
		{name: "the number of VMAs before the address", set: full, ops: []op{mmapOp(1, 1, 1, fixed)}, want: linux.ENOMEM},
		{name: "the alignment of a fixed address before its minimum", ops: []op{mmapOp(1, 1, 1, fixed)}, want: linux.EINVAL},
		{name: "an address that looks like an errno is one", ops: []op{mmapOp(^hostarch.Addr(0)-12, 1, 1, fixed)}, want: linux.Errno(13)},
		{name: "what is there before MAP_LOCKED", set: noLocks, ops: []op{mmapOp(at(0), 1, 1, fixed), mmapOp(at(0), 1, 1, private|linux.MAP_FIXED_NOREPLACE|linux.MAP_LOCKED)}, want: linux.EEXIST, list: "0:1r--"},
		{name: "MAP_LOCKED before the file", set: noLocks, ops: []op{argsOp(MMapArgs{Length: pg, Flags: linux.MAP_PRIVATE | linux.MAP_LOCKED, File: wo})}, want: linux.EPERM},
		{name: "the file's size before its mode", ops: []op{argsOp(MMapArgs{Length: 5 * pg, Flags: linux.MAP_PRIVATE, File: big})}, want: linux.EOVERFLOW},
		{name: "the last page of the largest file", ops: []op{argsOp(MMapArgs{Length: pg, Offset: 3 * pg, Flags: linux.MAP_PRIVATE, File: big})}, list: "-1:-0---", totals: "vm 1 data 0 exec 0 stack 0 locked 0 committed 0"},
		{name: "flags to be validated before the mode", ops: []op{argsOp(MMapArgs{Length: pg, Prot: 2, Flags: linux.MAP_SHARED_VALIDATE | linux.MAP_SYNC, File: &File{Readable: true}})}, want: linux.EOPNOTSUPP},
		{name: "the mode before the noexec mount", ops: []op{argsOp(MMapArgs{Length: pg, Prot: 4, Flags: linux.MAP_PRIVATE, File: &File{NoExec: true}})}, want: linux.EACCES},
		{name: "the noexec mount before that there is nothing to map", ops: []op{argsOp(MMapArgs{Length: pg, Prot: 4, Flags: linux.MAP_PRIVATE, File: &File{Readable: true, NoExec: true, Kind: Unmappable}})}, want: linux.EPERM},
		{name: "the type before the seal of what is there", ops: append(sealedBelow, mmapOp(at(0), 1, 1, linux.MAP_ANONYMOUS|linux.MAP_FIXED)), want: linux.EINVAL, list: "0:2rw-"},
		{name: "the seal of what is there before RLIMIT_AS", set: func(_ *Config, c *Caller) { c.Limits.AS = uint64(testStack.Length()) + 2*pg }, ops: append(sealedBelow, mmapOp(at(1), 5, rw, fixed)), want: linux.EPERM, list: "0:2rw-"},
		{name: "RLIMIT_AS splits what is there", set: func(_ *Config, c *Caller) { c.Limits.AS = uint64(testStack.Length()) + 2*pg }, ops: []op{mmapOp(at(0), 2, rw, fixed), mmapOp(at(1), 5, rw, fixed)}, want: linux.ENOMEM, partial: true, list: "0:1rw- 1:2rw-"},
		{name: "file pages are not data until they can be written", ops: []op{argsOp(MMapArgs{Length: 2 * pg, Prot: 5, Flags: linux.MAP_PRIVATE, File: &File{Readable: true}})}, list: "-2:-0r-x", totals: "vm 2 data 0 exec 2 stack 0 locked 0 committed 0"},
		{name: "a stack is neither data nor code", ops: []op{mmapOp(at(0), 2, 7, fixed|linux.MAP_GROWSDOWN)}, list: "0:2rwx", totals: "vm 2 data 0 exec 0 stack 2 locked 0 committed 2"},
		{name: "locked from the start", ops: []op{mmapOp(at(0), 2, rw, fixed|linux.MAP_LOCKED)}, list: "0:2rw-", totals: "vm 2 data 2 exec 0 stack 0 locked 2 committed 2"},
		{name: "not reserved", ops: []op{mmapOp(at(0), 2, rw, fixed|linux.MAP_NORESERVE)}, list: "0:2rw-", totals: "vm 2 data 2 exec 0 stack 0 locked 0 committed 0"},
		{name: "not reserved, which mode 2 does not know", set: func(cfg *Config, _ *Caller) { cfg.Overcommit = 2 }, ops: []op{mmapOp(at(0), 2, rw, fixed|linux.MAP_NORESERVE)}, list: "0:2rw-", totals: "vm 2 data 2 exec 0 stack 0 locked 0 committed 2"},
		{name: "DAX or not, the filesystem says", ops: []op{argsOp(MMapArgs{Length: pg, Prot: 1, Flags: linux.MAP_SHARED_VALIDATE | linux.MAP_SYNC, File: &File{Readable: true, Writable: true, THPArea: true}})}, unsure: true},
		{name: "a tmpfs with huge pages does not know MAP_SYNC", ops: []op{argsOp(MMapArgs{Length: pg, Prot: 1, Flags: linux.MAP_SHARED_VALIDATE | linux.MAP_SYNC, File: &File{Kind: Shmem, Readable: true, Writable: true, THPArea: true}})}, want: linux.EOPNOTSUPP},
		{name: "a device decides itself", ops: []op{argsOp(MMapArgs{Length: pg, Prot: 1, Flags: linux.MAP_SHARED, File: &File{Kind: Device, Readable: true, Writable: true}})}, unsure: true},
	})
}

// TestHugePages: their lengths and addresses are whole huge pages; the pool is the host's.
func TestHugePages(t *testing.T) {
	const place = hostarch.Addr(32 * hostarch.HugePageSize) // 16384-16 pages above 0x10000
	mapped := adoptOp(hugeArgs(2*huge, hugeFile), place)
	const list = "16368:17392rw-"
	fixedHuge := hugeArgs(huge, hugeFile)
	fixedHuge.Flags |= linux.MAP_FIXED
	fixedHuge.Addr = place + pg
	hinted := hugeArgs(huge, hugeFile)
	hinted.Addr = place + pg
	runCalls(t, []callCase{
		{name: "a file's length is rounded up", ops: []op{adoptOp(hugeArgs(1, hugeFile), place)}, list: "16368:16880rw-", totals: "vm 512 data 512 exec 0 stack 0 locked 0 committed 0"},
		{name: "the flag with a file of huge pages", ops: []op{argsOp(MMapArgs{Length: 1, Flags: linux.MAP_PRIVATE | linux.MAP_HUGETLB, File: hugeFile})}, unsure: true},
		{name: "1 GiB pages", set: func(cfg *Config, _ *Caller) { cfg.DefaultHuge, cfg.GiganticPages = huge, true }, ops: []op{argsOp(MMapArgs{Length: 1, Flags: private | linux.MAP_HUGETLB | 30<<linux.MAP_HUGE_SHIFT})}, unsure: true},
		{name: "a machine without", set: func(cfg *Config, _ *Caller) { cfg.DefaultHuge = 0 }, ops: []op{argsOp(MMapArgs{Length: 1, Flags: private | linux.MAP_HUGETLB})}, want: linux.EINVAL},
		{name: "a fixed address inside one", ops: []op{argsOp(fixedHuge)}, want: linux.EINVAL},
		{name: "a hint inside one is rounded up", ops: []op{argsOp(hinted)}, unsure: true},
		{name: "NORESERVE is theirs in mode 2, too", set: func(cfg *Config, _ *Caller) { cfg.Overcommit = 2 }, ops: []op{argsOp(MMapArgs{Length: 1, Flags: private | linux.MAP_HUGETLB | linux.MAP_NORESERVE})}, unsure: true},
		{name: "munmap of a part of one", ops: []op{mapped, func(m *MemoryManager, c *Caller) Result { return m.MUnmap(c, place+hostarch.Addr(huge), pg) }}, want: linux.EINVAL, partial: true, list: "16368:16880rw- 16880:17392rw-"},
		{name: "mprotect of a part of one", ops: []op{mapped, func(m *MemoryManager, c *Caller) Result { return m.MProtect(c, place, pg, 1, -1) }}, want: linux.EINVAL, list: list},
		{name: "discard half of one", ops: []op{mapped, madviseOp(place+pg, 1, linux.MADV_DONTNEED)}, want: linux.EINVAL, list: list},
		{name: "discard one", ops: []op{mapped, madviseOp(place, 512, linux.MADV_DONTNEED)}, list: list},
		{name: "free one", ops: []op{mapped, madviseOp(place, 512, linux.MADV_FREE)}, want: linux.EINVAL, list: list},
		{name: "page one out", ops: []op{mapped, madviseOp(place, 512, linux.MADV_PAGEOUT)}, want: linux.EINVAL, list: list},
		{name: "they are never locked", ops: []op{mapped, func(m *MemoryManager, c *Caller) Result { return m.MLock(c, place, huge, linux.MLOCK_ONFAULT) }}, unsure: true, list: list},
		{name: "mremap rounds to whole ones", ops: []op{mapped, mremapOp(place, 1024, 1, 0, 0)}, list: "16368:16880rw-", addr: place},
		{name: "mremap from inside one", ops: []op{mapped, mremapOp(place+pg, 1, 1, 0, 0)}, want: linux.EINVAL, list: list},
		{name: "they do not grow", ops: []op{mapped, mremapOp(place, 512, 1024, linux.MREMAP_MAYMOVE, 0)}, want: linux.EINVAL, list: list},
		{name: "they do move", ops: []op{mapped, mremapOp(place, 1024, 1024, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, 2*place)}, list: "32752:33776rw-", addr: 2 * place},
	})
}

// TestAreaShortOfRoom: where there is no room for the aligned mapping, it goes where an unaligned one goes.
func TestAreaShortOfRoom(t *testing.T) {
	for _, x := range []struct {
		name string
		gap  uint64 // all that is free, in pages from 0x10000 on
		args MMapArgs
		want hostarch.Addr // 0: ENOMEM
	}{
		{"huge anonymous memory", 600, MMapArgs{Length: huge, Flags: private}, at(88)},
		{"with room to align it", 1100, MMapArgs{Length: huge, Flags: private}, at(496)},
		{"huge shared memory", 600, MMapArgs{Length: huge, Flags: sharedAn}, at(88)},
		{"with room to align it, too", 1100, MMapArgs{Length: huge, Flags: sharedAn}, at(496)},
		{"with an offset that leaves less than a huge page", 1100, MMapArgs{Length: huge, Offset: pg, Flags: linux.MAP_SHARED, File: &File{Kind: Shmem, Name: "/memfd:x", Readable: true}}, at(588)},
		{"aligned by chance", 1008, MMapArgs{Length: huge, Flags: sharedAn}, at(496)},
		{"a gap too small", 500, MMapArgs{Length: huge, Flags: private}, 0},
		{"too small for shared memory", 500, MMapArgs{Length: huge, Flags: sharedAn}, 0},
		{"a stack's guard takes it", 2, MMapArgs{Length: 3 * pg, Flags: private}, 0},
		{"longer than all", 2, MMapArgs{Length: uint64(0x7ffffffff000), Flags: sharedAn}, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			cfg := coreConfig()
			cfg.ShmemHuge = true
			m, c := newCore(t, cfg)
			m.MMap(c, MMapArgs{Addr: 0x1000, Length: 0xf000, Flags: fixed})
			m.MMap(c, MMapArgs{Addr: at(x.gap), Length: uint64(testStack.Start - at(x.gap)), Flags: fixed})
			if res := m.MMap(c, x.args); res.Addr != x.want || (res.Errno == linux.ENOMEM) != (x.want == 0) {
				t.Errorf("%v %s, want %v", res.Addr, res.Errno.Name(), x.want)
			}
		})
	}
}

func TestAdopted(t *testing.T) {
	shm := &File{Kind: SysV, Size: 3*pg + 1, Dev: 1, Ino: 7}
	runCalls(t, []callCase{
		{name: "anonymous memory", ops: []op{adoptOp(MMapArgs{Length: pg + 1, Prot: rw, Flags: private}, at(0))}, list: "0:2rw-", totals: "vm 2 data 2 exec 0 stack 0 locked 0 committed 2"},
		{name: "a device", ops: []op{adoptOp(MMapArgs{Length: pg, Prot: rw, Flags: linux.MAP_SHARED, File: &File{Kind: Device, Readable: true, Writable: true}}, at(0))}, list: "0:1rw-s"},
		{name: "a segment", ops: []op{func(m *MemoryManager, c *Caller) Result { m.AdoptShmAt(c, shm, at(0), 0); return Result{} }}, list: "0:4rw-s"},
		{name: "another part of a file", ops: []op{mmapOp(at(0), 4, rw, sharedAn|linux.MAP_FIXED), func(m *MemoryManager, c *Caller) Result {
			m.AdoptRemapFilePages(c, at(1), pg, 0, 3, 0)
			return Result{}
		}}, list: "0:1rw-s 1:2rw-s 2:4rw-s"},
		{name: "a move", ops: []op{mmapOp(at(0), 4, rw, fixed), mmapOp(at(4), 1, 1, fixed), func(m *MemoryManager, c *Caller) Result {
			m.AdoptMRemap(c, at(0), 4*pg, 6*pg, linux.MREMAP_MAYMOVE, 0, at(20))
			return Result{}
		}}, list: "4:5r-- 20:26rw-"},
		{name: "a ring", ops: []op{func(m *MemoryManager, c *Caller) Result { m.AdoptIoSetup(c, at(0), pg+1); return Result{} }}, list: "0:2rw-s"},
	})
}

// TestAIORules: the ring of a context is as long as the number of cpus and of events asks for.
func TestAIORules(t *testing.T) {
	cpus := func(cfg *Config, _ *Caller) { cfg.CPUs = 2 }
	setup := func(n uint32) op {
		return func(m *MemoryManager, c *Caller) Result { return m.IoSetup(c, n) }
	}
	destroy := func(addr hostarch.Addr) op {
		return func(m *MemoryManager, c *Caller) Result { return m.IoDestroy(addr) }
	}
	ring := testBase - pg
	runCalls(t, []callCase{
		{name: "more events than fit", set: cpus, ops: []op{setup(0x10000000 / 32)}, want: linux.EINVAL},
		{name: "more than an int", set: cpus, ops: []op{setup(1 << 31)}, want: linux.EINVAL},
		{name: "no room is all that is said", set: func(cfg *Config, c *Caller) { cfg.CPUs, c.Limits.AS = 2, 1 }, ops: []op{setup(1)}, want: linux.ENOMEM},
		{name: "destroyed inside", set: cpus, ops: []op{setup(300), destroy(testBase - pg)}, unsure: true, list: "-5:-0rw-s"},
		{name: "destroyed in part", set: cpus, ops: []op{setup(300), munmapOp(testBase-pg, 1), destroy(testBase - 5*pg)}, unsure: true, list: "-5:-1rw-s"},
		{name: "a ring that cannot be read", set: cpus, ops: []op{setup(1), mprotectOp(ring, 1, 0), destroy(ring)}, want: linux.EINVAL, list: "-1:-0---s"},
		{name: "no ring", set: cpus, ops: []op{mmapOp(at(0), 1, rw, fixed), destroy(at(0))}, want: linux.EINVAL, list: "0:1rw-"},
		{name: "sealed, it outlives its context", set: cpus, ops: []op{setup(1), msealOp(ring, 1), destroy(ring)}, list: "-1:-0rw-s"},
		{name: "and it stays", set: cpus, ops: []op{setup(1), msealOp(ring, 1), func(m *MemoryManager, c *Caller) Result { m.AdoptIoDestroy(ring, pg); return Result{} }}, list: "-1:-0rw-s"},
		{name: "and when it loses its pages nobody says", set: cpus, ops: []op{setup(1), msealOp(ring, 1), destroy(ring), mlockOp(ring, 1)}, unsure: true, list: "-1:-0rw-s"},
		{name: "msync", set: cpus, ops: []op{setup(1), func(m *MemoryManager, c *Caller) Result { return m.MSync(c, ring, pg, linux.MS_SYNC) }}, want: linux.EINVAL, list: "-1:-0rw-s"},
	})
}
