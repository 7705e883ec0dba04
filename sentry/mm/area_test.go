package mm

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/procmaps"
)

// TestAreas: where a mapping goes in an address space with nothing but a stack. Distances are
// from mmap_base down.
func TestAreas(t *testing.T) {
	const huge = hostarch.HugePageSize
	for _, c := range []struct {
		name   string
		args   MMapArgs
		shmem  bool
		below  uint64        // the distance from mmap_base, or
		at     hostarch.Addr // the address
		unsure bool
	}{
		{name: "plain", args: MMapArgs{Length: 3 * pg, Flags: private}, below: 3 * pg},
		{name: "huge, aligned", args: MMapArgs{Length: huge, Flags: private}, at: 0x7ffff7c00000},
		{name: "not a whole huge page", args: MMapArgs{Length: huge + pg, Flags: private}, below: huge + pg},
		{name: "huge file", args: MMapArgs{Length: huge + pg, Offset: pg, Flags: linux.MAP_PRIVATE, File: &File{Readable: true, THPArea: true}}, below: huge + pg},
		{name: "huger file", args: MMapArgs{Length: 2*huge + pg, Offset: pg, Flags: linux.MAP_PRIVATE, File: &File{Readable: true, THPArea: true}}, at: 0x7ffff7a01000},
		{name: "a file of another filesystem", args: MMapArgs{Length: 2 * huge, Flags: linux.MAP_PRIVATE, File: &File{Readable: true}}, below: 2 * huge},
		{name: "shared", args: MMapArgs{Length: huge, Flags: sharedAn}, below: huge},
		{name: "shared, huge", args: MMapArgs{Length: huge, Flags: sharedAn}, shmem: true, at: 0x7ffff7c00000},
		{name: "shared, small", args: MMapArgs{Length: pg, Flags: sharedAn}, shmem: true, below: pg},
		{name: "memfd, huge", args: MMapArgs{Length: 2 * huge, Offset: pg, Flags: linux.MAP_SHARED, File: &File{Kind: Shmem, Name: "/memfd:x", Readable: true}}, shmem: true, at: 0x7ffff7a01000},
		{name: "tmpfs without huge pages", args: MMapArgs{Length: huge, Flags: linux.MAP_SHARED, File: &File{Kind: Shmem, Name: "/tmp/x", Readable: true}}, shmem: true, below: huge},
		{name: "low hint", args: MMapArgs{Addr: 1, Length: pg, Flags: private}, below: pg},
		{name: "hint below the minimum", args: MMapArgs{Addr: 0x800, Length: pg, Flags: private}, below: pg},
		{name: "hint at the end", args: MMapArgs{Addr: 0x7fffffffe000, Length: 2 * pg, Flags: private}, below: 2 * pg},
		{name: "hint in the stack's guard", args: MMapArgs{Addr: testStack.Start - 2*pg, Length: pg, Flags: private}, below: pg},
		{name: "MAP_32BIT", args: MMapArgs{Length: pg, Flags: private | linux.MAP_32BIT}, at: low32Start},
		{name: "MAP_32BIT, too long", args: MMapArgs{Length: 1 << 31, Flags: private | linux.MAP_32BIT}},
		{name: "huge pages decide nothing here", args: MMapArgs{Length: huge, Flags: private | linux.MAP_HUGETLB}, unsure: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := coreConfig()
			cfg.ShmemHuge = c.shmem
			m, caller := newCore(t, cfg)
			res := m.MMap(caller, c.args)
			want := c.at
			if c.below != 0 {
				want = testBase - hostarch.Addr(c.below)
			}
			if res.Unsure != c.unsure || res.Addr != want || (want == 0 && !c.unsure) != (res.Errno == linux.ENOMEM) {
				t.Errorf("%+v, want %v", res, want)
			}
		})
	}
}

// TestRandomized: where the kernel chose at random, the model says so instead of guessing.
func TestRandomized(t *testing.T) {
	m := New(coreConfig())
	err := m.Seed([]procmaps.Entry{
		{Range: hostarch.AddrRange{Start: testBase - pg, End: testBase}, Exec: true, Name: "[vdso]"},
		{Range: testStack, Read: true, Write: true, Name: "[stack]"},
	}, SeedInfo{StackLimit: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if m.MmapBase() != testBase {
		t.Errorf("mmap_base %v, want the vdso's end %v", m.MmapBase(), testBase)
	}
	c := &Caller{Limits: limits.Unlimited()}
	if res := m.MMap(c, MMapArgs{Length: pg, Flags: private | linux.MAP_32BIT}); !res.Unsure {
		t.Errorf("MAP_32BIT: %+v, want Unsure", res)
	}
	if res := m.MMap(c, MMapArgs{Addr: 0x50000000, Length: pg, Flags: private | linux.MAP_32BIT}); res.Addr != 0x50000000 {
		t.Errorf("MAP_32BIT with a free hint: %+v", res)
	}
}

// TestReadImpliesExec: the personality makes readable memory executable, but for noexec mounts.
func TestReadImpliesExec(t *testing.T) {
	m, c := newCore(t, coreConfig())
	c.Personality = linux.READ_IMPLIES_EXEC
	mmapOp(at(0), 1, 1, fixed)(m, c)
	m.MMap(c, MMapArgs{Addr: at(2), Length: pg, Prot: 1, Flags: linux.MAP_PRIVATE | linux.MAP_FIXED, File: &File{Readable: true, NoExec: true}})
	mmapOp(at(4), 1, 0, fixed)(m, c)
	mprotectOp(at(4), 1, 1)(m, c)
	brkOp(1)(m, c)
	if got, want := m.show(), "0:1r-x 2:3r-- 4:5r-x brk+0:brk+1rwx"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
