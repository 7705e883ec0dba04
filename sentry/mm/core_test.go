package mm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/procmaps"
)

const (
	pg       = hostarch.PageSize
	testBase = hostarch.Addr(0x7ffff7fff000)
	testBrk  = hostarch.Addr(0x555555560000)

	rw       = linux.PROT_READ | linux.PROT_WRITE
	private  = linux.MAP_PRIVATE | linux.MAP_ANONYMOUS
	fixed    = private | linux.MAP_FIXED
	sharedAn = linux.MAP_SHARED | linux.MAP_ANONYMOUS
)

// testStack is where the stack of a test's address space lies.
var testStack = hostarch.AddrRange{Start: 0x7ffffffde000, End: 0x7ffffffff000}

func coreConfig() *Config {
	return &Config{
		TaskSize: 0x7ffffffff000, MmapMinAddr: 0x1000, MaxMapCount: 65530, StackGuardGap: 1 << 20,
		THP: true, NUMA: true, KSM: true, DefaultHuge: 2 << 20,
	}
}

// newCore returns an address space with a stack and an empty heap.
func newCore(t testing.TB, cfg *Config) (*MemoryManager, *Caller) {
	t.Helper()
	m := New(cfg)
	err := m.Seed([]procmaps.Entry{{Range: testStack, Read: true, Write: true, Name: "[stack]"}},
		SeedInfo{StartBrk: testBrk, Brk: testBrk, MmapBase: testBase, NoRandomize: true})
	if err != nil {
		t.Fatal(err)
	}
	m.loose = false
	return m, &Caller{Limits: limits.Unlimited()}
}

// entries returns the list that the kernel would show.
func (m *MemoryManager) entries() []procmaps.Entry {
	var out []procmaps.Entry
	for r, v := range m.All() {
		e := procmaps.Entry{Range: r, Read: v.Flags&VM_READ != 0, Write: v.Flags&VM_WRITE != 0,
			Exec: v.Flags&VM_EXEC != 0, Shared: v.Flags&VM_MAYSHARE != 0, Name: v.special()}
		if f := v.File; f != nil {
			e.Major, e.Minor = uint32(f.Dev>>8&0xfff), uint32(f.Dev&0xff)
			e.Ino, e.Name, e.Offset = f.Ino, f.Name, v.PgOff<<hostarch.PageShift
		}
		out = append(out, e)
	}
	return out
}

// show prints the VMAs above the heap and below the stack, addresses as pages below mmap_base or,
// for what is mapped by address, above 0x10000.
func (m *MemoryManager) show() string {
	var b strings.Builder
	for r, v := range m.All() {
		if v.Flags&VM_GROWSDOWN != 0 && r.End == testStack.End {
			continue
		}
		name := func(a hostarch.Addr) string {
			if a > testBrk+1<<40 {
				return fmt.Sprintf("-%d", (testBase-a)/pg)
			}
			if a >= testBrk {
				return fmt.Sprintf("brk+%d", (a-testBrk)/pg)
			}
			return fmt.Sprintf("%d", (a-0x10000)/pg)
		}
		fmt.Fprintf(&b, "%s:%s%s ", name(r.Start), name(r.End),
			strings.TrimRight(permissions(v.Flags&VM_READ != 0, v.Flags&VM_WRITE != 0, v.Flags&VM_EXEC != 0, v.Flags&VM_MAYSHARE != 0), "p"))
	}
	return strings.TrimSpace(b.String())
}

// at is the address n pages above 0x10000.
func at(n uint64) hostarch.Addr { return hostarch.Addr(0x10000 + n*pg) }

func TestMMapErrno(t *testing.T) {
	file := func(f File) *File { return &f }
	readable := file(File{Readable: true})
	for _, c := range []struct {
		name string
		args MMapArgs
		want linux.Errno
	}{
		{"length 0", MMapArgs{Flags: private}, linux.EINVAL},
		{"length wraps", MMapArgs{Length: ^uint64(0), Flags: private}, linux.ENOMEM},
		{"longer than the task size", MMapArgs{Length: 1 << 47, Flags: private}, linux.ENOMEM},
		{"offset not aligned", MMapArgs{Length: pg, Flags: linux.MAP_PRIVATE, File: readable, Offset: 1}, linux.EINVAL},
		{"offset past 2^63", MMapArgs{Length: pg, Flags: linux.MAP_PRIVATE, File: readable, Offset: 1<<63 - pg}, linux.EOVERFLOW},
		{"no type", MMapArgs{Length: pg, Flags: linux.MAP_ANONYMOUS}, linux.EINVAL},
		{"fixed, not aligned", MMapArgs{Addr: 0x10001, Length: pg, Flags: fixed}, linux.EINVAL},
		{"fixed at 0", MMapArgs{Length: pg, Flags: fixed}, linux.EPERM},
		{"fixed at the end", MMapArgs{Addr: 0x7ffffffff000, Length: pg, Flags: fixed}, linux.ENOMEM},
		{"anonymous SHARED_VALIDATE", MMapArgs{Length: pg, Flags: linux.MAP_SHARED_VALIDATE | linux.MAP_ANONYMOUS}, linux.EINVAL},
		{"shared stack", MMapArgs{Length: pg, Flags: sharedAn | linux.MAP_GROWSDOWN}, linux.EINVAL},
		{"file stack", MMapArgs{Length: pg, Flags: linux.MAP_PRIVATE | linux.MAP_GROWSDOWN, File: readable}, linux.EINVAL},
		{"droppable and locked", MMapArgs{Length: pg, Flags: linux.MAP_DROPPABLE | linux.MAP_ANONYMOUS | linux.MAP_LOCKED}, linux.EINVAL},
		{"droppable file", MMapArgs{Length: pg, Flags: linux.MAP_DROPPABLE, File: readable}, linux.EINVAL},
		{"shared writable, read-only descriptor", MMapArgs{Length: pg, Prot: rw, Flags: linux.MAP_SHARED, File: readable}, linux.EACCES},
		{"write-only descriptor", MMapArgs{Length: pg, Flags: linux.MAP_PRIVATE, File: file(File{Writable: true})}, linux.EACCES},
		{"append-only", MMapArgs{Length: pg, Flags: linux.MAP_SHARED, File: file(File{Readable: true, Writable: true, AppendOnly: true})}, linux.EACCES},
		{"executable on noexec", MMapArgs{Length: pg, Prot: linux.PROT_EXEC, Flags: linux.MAP_PRIVATE, File: file(File{Readable: true, NoExec: true})}, linux.EPERM},
		{"directory", MMapArgs{Length: pg, Flags: linux.MAP_PRIVATE, File: file(File{Kind: Unmappable, Readable: true})}, linux.ENODEV},
		{"unknown flag, validated", MMapArgs{Length: pg, Flags: linux.MAP_SHARED_VALIDATE | linux.MAP_SYNC, File: readable}, linux.EOPNOTSUPP},
		{"NOREPLACE, validated", MMapArgs{Addr: at(0), Length: pg, Flags: linux.MAP_SHARED_VALIDATE | linux.MAP_FIXED_NOREPLACE, File: readable}, linux.EOPNOTSUPP},
		{"sealed memfd", MMapArgs{Length: pg, Prot: rw, Flags: linux.MAP_SHARED, File: file(File{Kind: Shmem, Readable: true, Writable: true, Seals: linux.F_SEAL_FUTURE_WRITE})}, linux.EPERM},
		{"NOREPLACE on the stack", MMapArgs{Addr: testStack.Start, Length: pg, Flags: private | linux.MAP_FIXED_NOREPLACE}, linux.EEXIST},
		{"huge pages of no such size", MMapArgs{Length: pg, Flags: private | linux.MAP_HUGETLB | 13<<linux.MAP_HUGE_SHIFT}, linux.EINVAL},
		{"huge pages of a file without", MMapArgs{Length: pg, Flags: linux.MAP_PRIVATE | linux.MAP_HUGETLB, File: readable}, linux.EINVAL},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, caller := newCore(t, coreConfig())
			before := m.Totals()
			if res := m.MMap(caller, c.args); res.Errno != c.want {
				t.Errorf("%s, want %s", res.Errno.Name(), c.want.Name())
			}
			if m.Totals() != before {
				t.Error("the refused call changed the totals")
			}
		})
	}
}

// op is one call of a table.
type op func(m *MemoryManager, c *Caller) Result

func mmapOp(addr hostarch.Addr, pages, prot, flags uint64) op {
	return func(m *MemoryManager, c *Caller) Result {
		return m.MMap(c, MMapArgs{Addr: addr, Length: pages * pg, Prot: prot, Flags: flags})
	}
}

func munmapOp(addr hostarch.Addr, pages uint64) op {
	return func(m *MemoryManager, c *Caller) Result { return m.MUnmap(c, addr, pages*pg) }
}

func mprotectOp(addr hostarch.Addr, pages, prot uint64) op {
	return func(m *MemoryManager, c *Caller) Result { return m.MProtect(c, addr, pages*pg, prot, -1) }
}

func brkOp(pages int) op {
	return func(m *MemoryManager, c *Caller) Result { return m.Brk(c, testBrk+hostarch.Addr(pages*pg)) }
}

func TestLists(t *testing.T) {
	base := func(n uint64) hostarch.Addr { return testBase - hostarch.Addr(n*pg) }
	for _, c := range []struct {
		name string
		ops  []op
		want string
	}{
		{"neighbours going down are one VMA", []op{mmapOp(0, 2, rw, private), mmapOp(0, 3, rw, private)}, "-5:-0rw-"},
		{"other protection", []op{mmapOp(0, 2, rw, private), mmapOp(0, 3, 1, private)}, "-5:-2r-- -2:-0rw-"},
		{"shared anonymous memory never merges", []op{mmapOp(0, 1, rw, sharedAn), mmapOp(0, 1, rw, sharedAn)}, "-2:-1rw-s -1:-0rw-s"},
		{"a hole is filled", []op{mmapOp(at(0), 4, rw, fixed), munmapOp(at(1), 2), mmapOp(at(1), 2, rw, fixed)}, "0:4rw-"},
		{"munmap splits", []op{mmapOp(at(0), 5, rw, fixed), munmapOp(at(2), 1)}, "0:2rw- 3:5rw-"},
		{"munmap over holes", []op{mmapOp(at(0), 2, rw, fixed), mmapOp(at(4), 2, rw, fixed), munmapOp(at(1), 4)}, "0:1rw- 5:6rw-"},
		{"fixed replaces", []op{mmapOp(at(0), 5, rw, fixed), mmapOp(at(1), 2, 1, fixed)}, "0:1rw- 1:3r-- 3:5rw-"},
		{"mprotect splits", []op{mmapOp(at(0), 5, rw, fixed), mprotectOp(at(1), 1, 1)}, "0:1rw- 1:2r-- 2:5rw-"},
		{"mprotect back", []op{mmapOp(at(0), 5, rw, fixed), mprotectOp(at(1), 1, 5), mprotectOp(at(1), 1, rw)}, "0:5rw-"},
		{"mprotect moves a boundary", []op{mmapOp(at(0), 4, 1, fixed), mprotectOp(at(0), 1, 5), mprotectOp(at(1), 1, 5)}, "0:2r-x 2:4r--"},
		{"mprotect past the end stops there", []op{mmapOp(at(0), 2, 1, fixed), mprotectOp(at(0), 3, 0)}, "0:2---"},
		{"huge pages are aligned", []op{mmapOp(0, 512, rw, private)}, "-1023:-511rw-"},
		{"brk grows one VMA", []op{brkOp(2), brkOp(5), brkOp(3)}, "brk+0:brk+3rw-"},
		{"brk below its start", []op{brkOp(2), brkOp(-1)}, "brk+0:brk+2rw-"},
		{"brk does not reach what is above", []op{mmapOp(testBrk+4*pg, 1, 1, fixed), brkOp(3), brkOp(4)}, "brk+0:brk+3rw- brk+4:brk+5r--"},
		{"hint in a hole", []op{mmapOp(at(3), 1, rw, private), mmapOp(at(2)+5, 1, 1, private)}, "2:3r-- 3:4rw-"},
		{"hint taken", []op{mmapOp(at(3), 1, 1, private), mmapOp(at(2), 2, rw, private)}, "3:4r-- -2:-0rw-"},
		{"a stack keeps its distance", []op{mmapOp(base(1), 1, rw, fixed|linux.MAP_GROWSDOWN), mmapOp(0, 1, rw, private)}, "-258:-257rw- -1:-0rw-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, caller := newCore(t, coreConfig())
			for _, do := range c.ops {
				do(m, caller)
			}
			if got := m.show(); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}
