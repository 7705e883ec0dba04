package mm

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/procmaps"
)

// These are rules that the differential test found missing, where the machine that runs it need not
// be set up so that they show.

// TestSharedMoveAligned: shared anonymous memory that has been mapped has a file, and is still aligned
// for huge pages when mremap looks for a place.
func TestSharedMoveAligned(t *testing.T) {
	cfg := coreConfig()
	cfg.ShmemHuge = true
	m, c := newCore(t, cfg)
	const length = 4<<20 - pg
	res := m.MMap(c, MMapArgs{Length: length, Prot: rw, Flags: sharedAn})
	if res.Errno != 0 || res.Addr%hostarch.HugePageSize != 0 {
		t.Fatalf("mapped at %v (%s)", res.Addr, res.Errno.Name())
	}
	res = m.MRemap(c, res.Addr, length, length, linux.MREMAP_MAYMOVE|linux.MREMAP_DONTUNMAP, 0)
	if res.Errno != 0 || res.Addr%hostarch.HugePageSize != 0 {
		t.Errorf("moved to %v (%s)", res.Addr, res.Errno.Name())
	}
}

// TestRefusedHugeMapping: a file of huge pages that refuses a fixed mapping leaves a hole, and
// remap_file_pages of one does not round up.
func TestRefusedHugeMapping(t *testing.T) {
	m, c := newCore(t, coreConfig())
	const huge = hostarch.HugePageSize
	file := &File{Kind: Hugetlb, HugeSize: huge, Readable: true, Writable: true, Size: 4 * huge}
	a := MMapArgs{Addr: 8 * huge, Length: pg, Prot: rw, Flags: linux.MAP_SHARED | linux.MAP_FIXED, File: file}
	under := MMapArgs{Addr: 8 * huge, Length: 2 * huge, Prot: rw, Flags: fixed}
	if res := m.MMap(c, under); res.Errno != 0 {
		t.Fatal(res.Errno.Name())
	}
	if res := m.MMap(c, a); !res.Unsure {
		t.Fatalf("%+v", res)
	}
	m.AdoptRefusedMMap(a)
	if _, _, ok := m.Find(a.Addr); ok {
		t.Error("what lay under the refused mapping is still there")
	}
	if _, _, ok := m.Find(a.Addr + huge); !ok {
		t.Error("what lay behind it is gone")
	}
	m.Adopt(c, a, a.Addr)
	if res := m.RemapFilePages(c, a.Addr, pg, 0, 1, 0); res.Errno != linux.EINVAL {
		t.Errorf("remap_file_pages of one page: %+v", res)
	}
	if res := m.RemapFilePages(c, a.Addr, huge, 0, 0, 0); !res.Unsure {
		t.Errorf("remap_file_pages: %+v", res)
	}
	m.AdoptRefusedRemapFilePages(a.Addr, huge, 0, 0, 0)
	if _, _, ok := m.Find(a.Addr); ok {
		t.Error("remap_file_pages that was refused left the mapping")
	}
}

// TestPolicyTakenBack: memory that gets the default policy back becomes one with its neighbour, and none of it
// has the old policy then. (Whole programs, seed 40180.)
func TestPolicyTakenBack(t *testing.T) {
	m, c := newCore(t, coreConfig())
	m.MMap(c, MMapArgs{Addr: at(0), Length: 4 * pg, Prot: rw, Flags: linux.MAP_SHARED | linux.MAP_ANONYMOUS | linux.MAP_FIXED})
	m.MBind(c, at(0), 2*pg, mpolBind, 1, 0)
	if seg, _ := m.vmas.At(uint64(at(0))); seg.End != uint64(at(2)) {
		t.Fatal(m.show())
	}
	var list []procmaps.Entry
	for r, v := range m.All() {
		e := procmaps.Entry{Range: r, Read: true, Write: true, Name: "[stack]"}
		if v.File != nil {
			e = procmaps.Entry{Range: hostarch.AddrRange{Start: at(0), End: at(4)}, Read: true, Write: true, Shared: true,
				Name: "/dev/zero (deleted)", Minor: 1, Ino: 7}
		}
		if r.Start != at(2) {
			list = append(list, e)
		}
	}
	m.Reconcile(list)
	m.AdoptPolicy(at(0), 2*pg, true)
	if seg, _ := m.vmas.At(uint64(at(0))); seg.End != uint64(at(4)) || policyOf(&seg.Value) != 0 {
		t.Errorf("policy %x: %s", policyOf(&seg.Value), m.show())
	}
}

// TestKeptAsOne: MREMAP_DONTUNMAP of locked memory that nobody touched, to right below itself. The kernel
// makes one VMA of both, which is not locked; both stay in locked_vm for ever. (Whole programs, seed 20333; and
// 40196, where other threads' calls came before the list could be looked at.)
func TestKeptAsOne(t *testing.T) {
	m, c := newCore(t, coreConfig())
	mmapOp(at(20), 1, 0, fixed|linux.MAP_LOCKED)(m, c)
	res := m.MRemap(c, at(20), pg, pg, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED|linux.MREMAP_DONTUNMAP, at(19))
	if res.Errno != 0 {
		t.Fatal(res)
	}
	msealOp(at(30), 1)(m, c) // another call, about nothing
	var list []procmaps.Entry
	for r, v := range m.All() {
		if r.Start == at(19) {
			list = append(list, procmaps.Entry{Range: hostarch.AddrRange{Start: at(19), End: at(21)}})
		} else if r.Start != at(20) {
			list = append(list, procmaps.Entry{Range: r, Read: v.Flags&VM_READ != 0, Write: v.Flags&VM_WRITE != 0, Name: "[stack]"})
		}
	}
	m.Reconcile(list)
	if _, v, _ := m.Find(at(19)); v.Flags&VM_LOCKED != 0 || m.Totals().LockedVM != 2 {
		t.Errorf("flags %x, %d pages locked, want 2", v.Flags, m.Totals().LockedVM)
	}
	if err := m.CheckInvariants(); err != nil {
		t.Error(err)
	}
}

// TestChargeMayBeGone: anonymous memory that becomes unwritable before it is touched gives its charge back, which
// is not seen. Where the host may then find that there is too little memory, or that there is enough, it is asked.
// (Whole programs, seed 1127499.)
func TestChargeMayBeGone(t *testing.T) {
	const ram = 100 // pages
	for name, x := range map[string]struct {
		call op
	}{
		"grows in place": {call: mremapOp(at(0), 4, ram+5, 0, 0)},
		"moves":          {call: mremapOp(at(0), 4, ram+5, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, at(1000))},
		"is replaced":    {call: mmapOp(at(0), ram+2, rw, fixed)},
		"is writable again": {call: func(m *MemoryManager, c *Caller) Result {
			mmapOp(at(4), ram-2, rw, fixed)(m, c)
			mprotectOp(at(4), ram-2, 0)(m, c)
			return mprotectOp(at(0), ram+2, rw)(m, c)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := coreConfig()
			cfg.Memory = ram
			m, c := newCore(t, cfg)
			mmapOp(at(0), 4, rw, fixed)(m, c)
			mprotectOp(at(0), 4, 0)(m, c)
			if res := x.call(m, c); !res.Unsure && !res.Guess {
				t.Errorf("%+v", res)
			}
		})
	}
	cfg := coreConfig()
	cfg.Memory = ram
	m, c := newCore(t, cfg)
	mmapOp(at(0), 4, rw, fixed)(m, c)
	if res := mremapOp(at(0), 4, ram+5, 0, 0)(m, c); res.Errno != linux.ENOMEM || res.Refusal == nil {
		t.Errorf("of writable memory: %+v", res)
	}
	mprotectOp(at(0), 4, 0)(m, c)
	if res := m.AdoptMRemap(c, at(0), 4*pg, (ram+5)*pg, 0, 0, at(0)); res.Errno != 0 || res.Unsure || m.show() != "0:105---" {
		t.Errorf("granted: %+v, %s", res, m.show())
	}
}
