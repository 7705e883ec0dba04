package mm

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

func TestLimitsRefuse(t *testing.T) {
	stack := uint64(testStack.Length())
	for _, c := range []struct {
		name   string
		set    func(*MemoryManager, *Caller)
		do     op
		errno  linux.Errno
		reason limits.Resource
	}{
		{"RLIMIT_AS to the page", func(m *MemoryManager, c *Caller) { c.Limits.AS = stack + 2*pg }, mmapOp(0, 2, rw, private), 0, ""},
		{"RLIMIT_AS", func(m *MemoryManager, c *Caller) { c.Limits.AS = stack + 2*pg - 1 }, mmapOp(0, 2, 0, private), linux.ENOMEM, limits.AS},
		{"RLIMIT_DATA", func(m *MemoryManager, c *Caller) { c.Limits.Data = pg }, mmapOp(0, 2, rw, private), linux.ENOMEM, limits.Data},
		{"RLIMIT_DATA is not for read-only", func(m *MemoryManager, c *Caller) { c.Limits.Data = pg }, mmapOp(0, 2, 1, private), 0, ""},
		{"RLIMIT_DATA is not for shared", func(m *MemoryManager, c *Caller) { c.Limits.Data = pg }, mmapOp(0, 2, rw, sharedAn), 0, ""},
		{"RLIMIT_DATA 0 below a hard limit", func(m *MemoryManager, c *Caller) { c.Limits.Data, c.Limits.DataMax = 0, 2*pg }, mmapOp(0, 2, rw, private), 0, ""},
		{"RLIMIT_DATA of brk", func(m *MemoryManager, c *Caller) { c.Limits.Data = pg }, brkOp(2), 0, limits.Data},
		{"MAP_LOCKED without a limit", func(m *MemoryManager, c *Caller) { c.Limits.MemLock = 0 }, mmapOp(0, 2, rw, private|linux.MAP_LOCKED), linux.EPERM, limits.MemLock},
		{"MAP_LOCKED past the limit", func(m *MemoryManager, c *Caller) { c.Limits.MemLock = pg }, mmapOp(0, 2, rw, private|linux.MAP_LOCKED), linux.EAGAIN, limits.MemLock},
		{"MAP_LOCKED with CAP_IPC_LOCK", func(m *MemoryManager, c *Caller) { c.Limits.MemLock, c.Creds.IPCLock = 0, true }, mmapOp(0, 2, rw, private|linux.MAP_LOCKED), 0, ""},
		{"mlockall(MCL_FUTURE) and brk", func(m *MemoryManager, c *Caller) { m.defFlags, c.Limits.MemLock = VM_LOCKED, pg }, brkOp(2), 0, limits.MemLock},
		{"mode 0 refuses a shared object that is more than there is", func(m *MemoryManager, c *Caller) { m.cfg.Memory = 1 }, mmapOp(0, 2, 1, sharedAn), linux.ENOMEM, limits.Commit},
		{"mode 0 does not look at NORESERVE", func(m *MemoryManager, c *Caller) { m.cfg.Memory = 1 }, mmapOp(0, 2, rw, private|linux.MAP_NORESERVE), 0, ""},
		{"mode 0 refuses more than there is", func(m *MemoryManager, c *Caller) { m.cfg.Memory = 1 }, mmapOp(0, 2, rw, private), linux.ENOMEM, limits.Commit},
		{"mode 1 does not", func(m *MemoryManager, c *Caller) { m.cfg.Memory, m.cfg.Overcommit = 1, 1 }, mmapOp(0, 2, rw, private), 0, ""},
		{"mode 0 and brk", func(m *MemoryManager, c *Caller) { m.cfg.Memory = 1 }, brkOp(2), 0, limits.Commit},
		{"max_map_count", func(m *MemoryManager, c *Caller) { m.cfg.MaxMapCount = 0 }, mmapOp(0, 1, 1, private), linux.ENOMEM, limits.MapCount},
		{"no addresses", func(m *MemoryManager, c *Caller) { mmapOp(1<<46, 1, 1, fixed)(m, c) }, mmapOp(0, 1<<34, 1, private), linux.ENOMEM, limits.Space},
		{"min addr", nil, mmapOp(0, 1, 1, fixed), linux.EPERM, ""},
		{"min addr with CAP_SYS_RAWIO", func(m *MemoryManager, c *Caller) { c.Creds.SysRawIO = true }, mmapOp(0, 1, 1, fixed), 0, ""},
		{"MDWE, writable and executable", func(m *MemoryManager, c *Caller) { m.mdwe = true }, mmapOp(0, 1, 7, private), linux.EACCES, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, caller := newCore(t, coreConfig())
			if c.set != nil {
				c.set(m, caller)
			}
			before := m.Totals()
			res := c.do(m, caller)
			var reason limits.Resource
			if res.Refusal != nil {
				reason = res.Refusal.Resource
			}
			if res.Errno != c.errno || reason != c.reason {
				t.Errorf("%s because of %q, want %s because of %q", res.Errno.Name(), reason, c.errno.Name(), c.reason)
			}
			if (c.errno != 0 || c.reason != "") && m.Totals() != before {
				t.Errorf("the refused call changed the totals to %+v", m.Totals())
			}
		})
	}
}

// TestNoReserve: MAP_NORESERVE memory is not charged, but for mode 2, which does not honour it.
func TestNoReserve(t *testing.T) {
	for mode, want := range map[limits.OvercommitMode]uint64{limits.Heuristic: 0, limits.Always: 0, limits.Never: 2} {
		m, c := newCore(t, coreConfig())
		m.cfg.Overcommit = mode
		before := m.Totals().Committed
		if res := mmapOp(0, 2, rw, private|linux.MAP_NORESERVE)(m, c); res.Errno != 0 {
			t.Errorf("mode %d: %s", mode, res.Errno.Name())
		}
		if got := m.Totals().Committed - before; got != want {
			t.Errorf("mode %d: %d pages are charged, want %d", mode, got, want)
		}
	}
}

// TestReplacingIsFree: what a fixed mapping replaces is taken off before the limits are looked at.
func TestReplacingIsFree(t *testing.T) {
	m, c := newCore(t, coreConfig())
	mmapOp(at(0), 4, rw, fixed)(m, c)
	c.Limits.AS = m.Totals().TotalVM * pg
	m.cfg.Memory = 1 // pages: not even what is replaced
	if res := mmapOp(at(1), 2, rw, fixed)(m, c); res.Errno != 0 {
		t.Errorf("replacing: %s", res.Errno.Name())
	}
	if res := mmapOp(at(2), 3, rw, fixed)(m, c); res.Errno != linux.ENOMEM {
		t.Errorf("one page more: %q", res.Errno.Name())
	}
}

// TestMapCountSplits: calls that leave one VMA more than vm.max_map_count are refused, and those
// that leave as many are not.
func TestMapCountSplits(t *testing.T) {
	m, c := newCore(t, coreConfig())
	mmapOp(at(0), 8, rw, fixed)(m, c)
	m.cfg.MaxMapCount = m.Totals().MapCount
	for name, do := range map[string]op{
		"munmap in the middle":   munmapOp(at(2), 1),
		"mprotect in the middle": mprotectOp(at(2), 1, 1),
		"mprotect at the end":    mprotectOp(at(7), 1, 1),
	} {
		before := m.show()
		if res := do(m, c); res.Errno != linux.ENOMEM || res.Refusal == nil || res.Partial {
			t.Errorf("%s: %+v, want ENOMEM", name, res)
		}
		if m.show() != before {
			t.Errorf("%s: changed %s to %s", name, before, m.show())
		}
	}
	if res := munmapOp(at(7), 1)(m, c); res.Errno != 0 {
		t.Errorf("munmap at the end: %s", res.Errno.Name())
	}
}

func TestMProtectPartial(t *testing.T) {
	m, c := newCore(t, coreConfig())
	ro := &File{Readable: true}
	mmapOp(at(0), 2, rw, fixed)(m, c)
	m.MMap(c, MMapArgs{Addr: at(2), Length: 2 * pg, Prot: 1, Flags: linux.MAP_SHARED | linux.MAP_FIXED, File: ro})
	for _, x := range []struct {
		name    string
		do      op
		errno   linux.Errno
		partial bool
		want    string
	}{
		{"the second VMA refuses", mprotectOp(at(1), 2, 7), linux.EACCES, true, "0:1rw- 1:2rwx 2:4r--s"},
		{"the first VMA refuses", mprotectOp(at(2), 2, rw), linux.EACCES, false, "0:1rw- 1:2rwx 2:4r--s"},
		{"a hole after the change", mprotectOp(at(3), 2, 0), linux.ENOMEM, true, "0:1rw- 1:2rwx 2:3r--s 3:4---s"},
		{"a hole at first", mprotectOp(at(5), 2, 0), linux.ENOMEM, false, "0:1rw- 1:2rwx 2:3r--s 3:4---s"},
		{"nothing changes before the hole", mprotectOp(at(3), 2, 0), linux.ENOMEM, false, "0:1rw- 1:2rwx 2:3r--s 3:4---s"},
		{"unknown bit", mprotectOp(at(0), 1, 0x10), linux.EINVAL, false, "0:1rw- 1:2rwx 2:3r--s 3:4---s"},
		{"both directions", mprotectOp(at(0), 1, linux.PROT_GROWSDOWN|linux.PROT_GROWSUP), linux.EINVAL, false, "0:1rw- 1:2rwx 2:3r--s 3:4---s"},
		{"not a stack", mprotectOp(at(0), 1, linux.PROT_GROWSDOWN), linux.EINVAL, false, "0:1rw- 1:2rwx 2:3r--s 3:4---s"},
		{"no VMA grows up", mprotectOp(at(0), 1, linux.PROT_GROWSUP), linux.EINVAL, false, "0:1rw- 1:2rwx 2:3r--s 3:4---s"},
	} {
		res := x.do(m, c)
		if res.Errno != x.errno || res.Partial != x.partial {
			t.Errorf("%s: %s, partial %v; want %s, %v", x.name, res.Errno.Name(), res.Partial, x.errno.Name(), x.partial)
		}
		if got := m.show(); got != x.want {
			t.Errorf("%s:\n got %s\nwant %s", x.name, got, x.want)
		}
	}
	res := m.MProtect(c, testStack.End-pg, pg, 7|linux.PROT_GROWSDOWN, -1)
	if r, v, _ := m.Find(testStack.Start); res.Errno != 0 || r != testStack || v.Flags&VM_EXEC == 0 {
		t.Errorf("PROT_GROWSDOWN: %s, stack %v %#x", res.Errno.Name(), r, v.Flags)
	}
	if res := m.MProtect(c, at(0), pg, 1, 1); res.Errno != linux.EINVAL {
		t.Errorf("a protection key without hardware for it: %s", res.Errno.Name())
	}
}

// TestSealed: sealed memory is neither unmapped, nor replaced, nor protected otherwise.
func TestSealed(t *testing.T) {
	m, c := newCore(t, coreConfig())
	mmapOp(at(0), 4, rw, fixed)(m, c)
	seg, _ := m.vmas.At(uint64(at(2)))
	v := clip(seg, uint64(at(2)), uint64(at(3))).Value
	v.Flags |= VM_SEALED
	m.modifyOne(seg, uint64(at(2)), uint64(at(3)), v)
	for name, do := range map[string]op{
		"munmap": munmapOp(at(0), 4), "mmap": mmapOp(at(1), 2, 1, fixed), "mprotect": mprotectOp(at(2), 1, 1),
	} {
		before := m.Totals()
		res := do(m, c)
		after := m.Totals()
		if res.Partial { // the kernel leaves a VMA split that it has begun to unmap
			after.MapCount = before.MapCount
		}
		if res.Errno != linux.EPERM || after != before {
			t.Errorf("%s: %s, %s", name, res.Errno.Name(), m.show())
		}
	}
}

// TestSpecial: the kernel's own mappings are unmapped whole or not at all.
func TestSpecial(t *testing.T) {
	m, c := newCore(t, coreConfig())
	m.insert(seg(at(0), 2, VMA{Flags: VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYEXEC | VM_DONTEXPAND, Rare: &Rare{Special: "[vdso]"}}))
	if res := munmapOp(at(0), 1)(m, c); res.Errno != linux.EINVAL {
		t.Errorf("half of it: %q", res.Errno.Name())
	}
	if res := mprotectOp(at(1), 1, 1)(m, c); res.Errno != linux.EINVAL {
		t.Errorf("mprotect of half of it: %q", res.Errno.Name())
	}
	if res := munmapOp(at(0), 2)(m, c); res.Errno != 0 {
		t.Errorf("all of it: %q", res.Errno.Name())
	}
}

// TestHugetlb: the pool of huge pages is the host's, so the outcome is; what it gave is adopted.
func TestHugetlb(t *testing.T) {
	m, c := newCore(t, coreConfig())
	args := MMapArgs{Length: 1, Prot: rw, Flags: private | linux.MAP_HUGETLB}
	if res := m.MMap(c, args); !res.Unsure {
		t.Fatalf("%+v, want Unsure", res)
	}
	addr := hostarch.Addr(0x7ffff7c00000)
	m.Adopt(c, args, addr)
	r, v, ok := m.Find(addr)
	if !ok || r.Length() != 2<<20 || v.Flags&VM_HUGETLB == 0 || v.Flags&VM_ACCOUNT != 0 || m.Totals().Committed != uint64(testStack.Length())/pg {
		t.Errorf("adopted %v %#x, %+v", r, v.Flags, m.Totals())
	}
	if res := m.MUnmap(c, addr+pg, pg); res.Errno != linux.EINVAL {
		t.Errorf("munmap of a part: %q", res.Errno.Name())
	}
	if err := m.CheckInvariants(); err != nil {
		t.Error(err)
	}
}
