package mm

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/procmaps"
)

// What integration's TestDifferential found, each as small as it can be.

// lists parses the text of a list of mappings.
func lists(t *testing.T, text string) []procmaps.Entry {
	t.Helper()
	entries, err := procmaps.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// flagsAt returns the flags of the VMA at addr.
func flagsAt(t *testing.T, m *MemoryManager, addr uint64) Flags {
	t.Helper()
	seg, ok := m.vmas.At(addr)
	if !ok {
		t.Fatalf("nothing at %#x", addr)
	}
	return seg.Value.Flags
}

const (
	anonLine   = "10000000-10002000 rw-p 00000000 00:00 0 \n"
	ringLine   = "20000000-20002000 rw-s 00000000 00:12 9 /[aio] (deleted)\n"
	secretLine = "30000000-30002000 rw-s 00000000 00:0e 8 /secretmem (deleted)\n"
	zeroLine   = "00000000-00001000 r-xp 00000000 00:00 0 \n"
	stackLine  = "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0 [stack]\n"
)

// What the kernel's list alone tells of a mapping that no call of the model's made.
func TestDerivedFlags(t *testing.T) {
	m := New(coreConfig())
	m.Reconcile(lists(t, anonLine+ringLine+secretLine))
	if f := flagsAt(t, m, 0x20000000); f&VM_MAYEXEC != 0 || f&VM_DONTEXPAND == 0 {
		t.Errorf("a ring has flags %#x", f)
	}
	if f := flagsAt(t, m, 0x30000000); f&VM_MAYEXEC != 0 || f&VM_LOCKED == 0 {
		t.Errorf("secret memory has flags %#x", f)
	}
	if n := m.Totals().LockedVM; n != 2 {
		t.Errorf("%d pages are locked", n)
	}
	m.MUnlockAll(&Caller{})
	if f := flagsAt(t, m, 0x30000000); f&VM_LOCKED == 0 {
		t.Error("secret memory was unlocked")
	}
}

// PR_SET_MEMORY_MERGE lasts over an exec, for all but the stack; page zero, which an old personality
// has mapped, is sealed.
func TestSeedAfterExec(t *testing.T) {
	before := New(coreConfig())
	before.mergeAny = true
	m := New(coreConfig())
	if err := m.Seed(lists(t, zeroLine+anonLine+stackLine), SeedInfo{Inherit: before}); err != nil {
		t.Fatal(err)
	}
	if flagsAt(t, m, 0x10000000)&VM_MERGEABLE == 0 || flagsAt(t, m, 0x7ffffffe0000)&VM_MERGEABLE != 0 {
		t.Error("VM_MERGEABLE is not where it should be")
	}
	if res := m.MProtect(&Caller{}, 0, pg, rw, -1); res.Errno != linux.EPERM {
		t.Errorf("mprotect of page zero: %+v", res)
	}
}

// MREMAP_DONTUNMAP of locked memory leaves its pages in the count for ever, whatever is taken over
// from the kernel's list later.
func TestLeakSurvivesReconcile(t *testing.T) {
	m := New(coreConfig())
	m.Reconcile(lists(t, anonLine))
	m.lockedLeak = 3
	m.totals.LockedVM += 3
	m.Reconcile(lists(t, anonLine+ringLine))
	if n := m.Totals().LockedVM; n != 3 {
		t.Errorf("%d pages are locked", n)
	}
	if err := m.CheckInvariants(); err != nil {
		t.Error(err)
	}
}

// The offset of a private mapping of /dev/zero shows in the list, and moves with it only as long as it
// was never written.
func TestMovedDevZeroIsAGuess(t *testing.T) {
	m, c := newCore(t, coreConfig())
	f := &File{Kind: DevZero, Dev: 6, Ino: 4, Readable: true, Writable: true}
	if res := m.MMap(c, MMapArgs{Addr: at(0), Length: pg, Prot: rw, Flags: linux.MAP_PRIVATE | linux.MAP_FIXED, File: f}); res.Errno != 0 {
		t.Fatal(res)
	}
	if res := m.MRemap(c, at(0), pg, pg, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, at(4)); !res.Guess {
		t.Errorf("%+v", res)
	}
}

// Whether a file can be mapped at all comes before every limit; only the host knows.
func TestDeviceBeforeLimits(t *testing.T) {
	m, c := newCore(t, coreConfig())
	c.Limits.AS = 0
	a := MMapArgs{Length: pg, Prot: 1, Flags: linux.MAP_PRIVATE, File: &File{Kind: Device, Readable: true}}
	if res := m.MMap(c, a); !res.Unsure {
		t.Errorf("over a limit: %+v", res)
	}
	a.Flags |= linux.MAP_GROWSDOWN
	if res := m.MMap(c, a); !res.Unsure {
		t.Errorf("growing downwards: %+v", res)
	}
	a.File = &File{Kind: Device}
	if res := m.MMap(c, a); res.Errno != linux.EACCES {
		t.Errorf("unreadable: %+v", res)
	}
}

// Huge pages of a size that the machine does not have are no pages.
func TestGiganticPages(t *testing.T) {
	cfg := coreConfig()
	cfg.DefaultHuge = 2 << 20
	m, c := newCore(t, cfg)
	flags := uint64(linux.MAP_PRIVATE | linux.MAP_ANONYMOUS | linux.MAP_HUGETLB | 30<<linux.MAP_HUGE_SHIFT)
	if res := m.MMap(c, MMapArgs{Length: pg, Flags: flags}); res.Errno != linux.EINVAL {
		t.Errorf("%+v", res)
	}
}

// At the largest offsets of a file its end overflows a signed number: the search for a place for huge
// pages goes on all the same (__thp_get_unmapped_area).
func TestLastOffsetIsAligned(t *testing.T) {
	cfg := coreConfig()
	cfg.THP = true
	m, c := newCore(t, cfg)
	f := &File{Kind: Regular, Dev: 1, Ino: 2, Readable: true, THPArea: true}
	const offset = 1<<63 - 2*pg
	res := m.MMap(c, MMapArgs{Length: pg, Prot: 1, Flags: linux.MAP_SHARED, File: f, Offset: offset})
	if res.Errno != 0 || (uint64(res.Addr)-offset)%(2<<20) != 0 {
		t.Errorf("%+v", res)
	}
}

// A policy that is known to be there, but not which, keeps neighbours apart in the model; in the
// kernel they may be one.
func TestUnknownPolicy(t *testing.T) {
	m, c := newCore(t, coreConfig())
	m.MMap(c, MMapArgs{Addr: at(0), Length: 4 * pg, Prot: 1, Flags: linux.MAP_SHARED | linux.MAP_ANONYMOUS | linux.MAP_FIXED})
	mprotectOp(at(2), 2, rw)(m, c)
	m.AdoptPolicy(at(0), 2*pg, false)
	mprotectOp(at(2), 2, 1)(m, c)
	if seg, _ := m.vmas.At(uint64(at(0))); seg.End != uint64(at(2)) {
		t.Errorf("they were merged: %s", m.show())
	}
	m.AdoptPolicy(at(0), 2*pg, true)
	mprotectOp(at(2), 2, rw)(m, c)
	mprotectOp(at(2), 2, 1)(m, c)
	if seg, _ := m.vmas.At(uint64(at(0))); seg.End != uint64(at(4)) {
		t.Errorf("they were not merged: %s", m.show())
	}
}

// A home node is given to policies that are there; memory without one stays apart from them.
func TestUnknownHomeNode(t *testing.T) {
	m, c := newCore(t, coreConfig())
	m.MMap(c, MMapArgs{Addr: at(0), Length: 4 * pg, Prot: 1, Flags: linux.MAP_SHARED | linux.MAP_ANONYMOUS | linux.MAP_FIXED})
	mprotectOp(at(2), 2, rw)(m, c)
	m.AdoptPolicy(at(0), 2*pg, false)
	_, before, _ := m.Find(at(0))
	m.AdoptHomeNode(at(0), 4*pg)
	if _, v, _ := m.Find(at(0)); v.Rare == nil || v.Rare.Policy == before.Rare.Policy {
		t.Error("the policy is still the old one")
	}
	mprotectOp(at(2), 2, 1)(m, c)
	if seg, _ := m.vmas.At(uint64(at(0))); seg.End != uint64(at(2)) {
		t.Errorf("they were merged: %s", m.show())
	}
}
