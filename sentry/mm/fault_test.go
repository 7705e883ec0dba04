package mm

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// TestFault touches memory after some calls: what comes of it, and what the list looks like then.
func TestFault(t *testing.T) {
	const stack = fixed | linux.MAP_GROWSDOWN
	file := &File{Kind: Regular, Ino: 7, Readable: true, Writable: true, Size: 2 * pg}
	private := func(m *MemoryManager, c *Caller) Result {
		return m.MMap(c, MMapArgs{Addr: at(0), Length: 4 * pg, Prot: rw, Flags: linux.MAP_PRIVATE | linux.MAP_FIXED, File: file})
	}
	const far = 400 // pages from a stack to what lies below it, more than its guard gap
	for _, x := range []struct {
		name  string
		ops   []op
		limit func(c *Caller)
		addr  hostarch.Addr
		write bool
		want  FaultResult
		list  string
	}{
		{name: "below where a stack may grow to", addr: 0x10, want: segvUnmapped},
		{name: "read", ops: []op{mmapOp(at(0), 2, 1, fixed)}, addr: at(1) + 5, list: "0:2r--"},
		{name: "write to read-only", ops: []op{mmapOp(at(0), 2, 1, fixed)}, addr: at(1), write: true, want: segvAccess, list: "0:2r--"},
		{name: "read of write-only", ops: []op{mmapOp(at(0), 2, 2, fixed)}, addr: at(1), list: "0:2-w-"},
		{name: "no access", ops: []op{mmapOp(at(0), 2, 0, fixed)}, addr: at(1), want: segvAccess, list: "0:2---"},
		{name: "beyond the file", ops: []op{private}, addr: at(2), want: busAddress, list: "0:4rw-"},
		{name: "last page of the file", ops: []op{private}, addr: at(1), write: true, list: "0:4rw-"},
		{name: "guard page", ops: []op{mmapOp(at(0), 4, rw, fixed), madviseOp(at(1), 1, linux.MADV_GUARD_INSTALL)}, addr: at(1), want: segvUnmapped, list: "0:4rw-"},
		{name: "beside a guard page", ops: []op{mmapOp(at(0), 4, rw, fixed), madviseOp(at(1), 1, linux.MADV_GUARD_INSTALL)}, addr: at(2), list: "0:4rw-"},
		{name: "guard page taken away", ops: []op{mmapOp(at(0), 4, rw, fixed), madviseOp(at(1), 2, linux.MADV_GUARD_INSTALL), madviseOp(at(1), 1, linux.MADV_GUARD_REMOVE)},
			addr: at(1), list: "0:4rw-"},
		{name: "guard page moved", ops: []op{mmapOp(at(0), 4, rw, fixed), madviseOp(at(1), 1, linux.MADV_GUARD_INSTALL),
			mremapOp(at(0), 4, 4, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, at(8))}, addr: at(9), want: segvUnmapped, list: "8:12rw-"},
		{name: "not canonical", addr: 1 << 47, want: segvKernel},
		{name: "the kernel's", addr: ^hostarch.Addr(0), want: segvUnmapped},
		{name: "stack grows", ops: []op{mmapOp(at(far), 1, rw, stack)}, addr: at(far - 3), list: "397:401rw-"},
		{name: "stack without access grows", ops: []op{mmapOp(at(far), 1, 0, stack)}, addr: at(far - 3), want: segvAccess, list: "397:401---"},
		{name: "stack near a mapping", ops: []op{mmapOp(at(far), 1, rw, stack), mmapOp(at(200), 1, 1, fixed)}, addr: at(far - 3), want: segvUnmapped, list: "200:201r-- 400:401rw-"},
		{name: "stack near one without access", ops: []op{mmapOp(at(far), 1, rw, stack), mmapOp(at(200), 1, 0, fixed)}, addr: at(far - 3), list: "200:201--- 397:401rw-"},
		{name: "RLIMIT_STACK", ops: []op{mmapOp(at(far), 1, rw, stack)}, limit: func(c *Caller) { c.Limits.Stack = 3 * pg }, addr: at(far - 3), want: segvUnmapped, list: "400:401rw-"},
		{name: "RLIMIT_AS", ops: []op{mmapOp(at(far), 1, rw, stack)}, limit: func(c *Caller) { c.Limits.AS = pg }, addr: at(far - 3), want: segvUnmapped, list: "400:401rw-"},
		{name: "RLIMIT_MEMLOCK", ops: []op{mmapOp(at(far), 1, rw, stack), mlockOp(at(far), 1)}, limit: func(c *Caller) { c.Limits.MemLock = 2 * pg }, addr: at(far - 3),
			want: segvUnmapped, list: "400:401rw-"},
	} {
		t.Run(x.name, func(t *testing.T) {
			m, c := newCore(t, coreConfig())
			m.AssumeUntouched()
			for i, o := range x.ops {
				if res := o(m, c); res.Errno != 0 {
					t.Fatalf("call %d: %s", i, res.Errno.Name())
				}
			}
			if x.limit != nil {
				x.limit(c)
			}
			got := m.Fault(c, x.addr, x.write)
			if (got.Refusal != nil) != (x.limit != nil) {
				t.Errorf("refusal %v", got.Refusal)
			}
			if got.Refusal = nil; got != x.want {
				t.Errorf("got %+v, want %+v", got, x.want)
			}
			if list := m.show(); list != x.list {
				t.Errorf("list %s\nwant %s", list, x.list)
			}
			if err := m.CheckInvariants(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFaultAnon follows which accesses give a VMA an anon_vma: then it keeps its charge when it
// becomes unwritable.
func TestFaultAnon(t *testing.T) {
	for _, x := range []struct {
		name  string
		touch func(m *MemoryManager, c *Caller)
		want  bool
	}{
		{"never touched", func(m *MemoryManager, c *Caller) {}, false},
		{"read", func(m *MemoryManager, c *Caller) { m.Fault(c, at(1), false) }, true},
		{"written", func(m *MemoryManager, c *Caller) { m.Fault(c, at(1), true) }, true},
		{"a neighbour", func(m *MemoryManager, c *Caller) { m.Fault(c, at(4), true) }, false},
		{"adopted", func(m *MemoryManager, c *Caller) { m.AdoptFault(at(1), true, 0) }, true},
		{"adopted a signal", func(m *MemoryManager, c *Caller) { m.AdoptFault(at(1), true, linux.SIGBUS) }, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			m, c := newCore(t, coreConfig())
			m.AssumeUntouched()
			for _, o := range []op{mmapOp(at(0), 4, rw, fixed), mmapOp(at(4), 1, 7, fixed)} {
				o(m, c)
			}
			x.touch(m, c)
			m.MProtect(c, at(0), 4*pg, 1, -1)
			_, v, _ := m.Find(at(0))
			if got := v.Flags&VM_ACCOUNT != 0; got != x.want {
				t.Errorf("charged: %v, want %v", got, x.want)
			}
		})
	}
}

// TestForkAnon looks at what merges in a child whose parent's faults are known.
func TestForkAnon(t *testing.T) {
	for _, x := range []struct {
		name, want string
		before     []op
		touch      bool
	}{
		{name: "never touched", want: "0:4rw-"},
		{name: "touched", touch: true, want: "0:2rw- 2:4rw-"},
		{name: "wiped", touch: true, before: []op{madviseOp(at(0), 2, linux.MADV_WIPEONFORK)}, want: "0:4rw-"},
	} {
		t.Run(x.name, func(t *testing.T) {
			m, c := newCore(t, coreConfig())
			m.AssumeUntouched()
			mmapOp(at(0), 2, rw, fixed)(m, c)
			for _, o := range x.before {
				o(m, c)
			}
			if x.touch {
				m.Fault(c, at(0), true)
			}
			n := m.Fork()
			n.MAdvise(c, at(0), 2*pg, linux.MADV_KEEPONFORK)
			mmapOp(at(2), 2, rw, fixed)(n, c)
			if got := n.show(); got != x.want {
				t.Errorf("list %s\nwant %s", got, x.want)
			}
			if err := n.CheckInvariants(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestForkExtend: memory that mremap lengthens in place takes in what it meets, although its anon_vma came over
// a fork, if that has none. (The kernel, seed 1125188.)
func TestForkExtend(t *testing.T) {
	for _, x := range []struct {
		name, want string
		unknown    bool // faults are not known
		touchNext  bool
		guess      bool
	}{
		{name: "met memory was never touched", want: "0:4rw-"},
		{name: "met memory was touched", touchNext: true, want: "0:2rw- 2:4rw-"},
		{name: "nobody knows", unknown: true, guess: true, want: "0:2rw- 2:4rw-"},
	} {
		t.Run(x.name, func(t *testing.T) {
			m, c := newCore(t, coreConfig())
			if !x.unknown {
				m.AssumeUntouched()
			}
			mmapOp(at(0), 1, rw, fixed)(m, c)
			m.Fault(c, at(0), true)
			n := m.Fork()
			mmapOp(at(2), 2, rw, fixed)(n, c)
			if x.touchNext {
				n.Fault(c, at(2), true)
			}
			res := n.MRemap(c, at(0), pg, 2*pg, 0, 0)
			if res.Errno != 0 || res.Guess != x.guess {
				t.Errorf("%+v", res)
			}
			if got := n.show(); got != x.want {
				t.Errorf("list %s\nwant %s", got, x.want)
			}
			if err := n.CheckInvariants(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPkeyAlloc is of a processor without protection keys.
func TestPkeyAlloc(t *testing.T) {
	m, _ := newCore(t, coreConfig())
	for i, x := range []struct {
		flags, rights uint64
		want          linux.Errno
	}{{1, 0, linux.EINVAL}, {0, 4, linux.EINVAL}, {0, 0, linux.EINVAL}, {0, 0, linux.ENOSPC}, {0, 4, linux.EINVAL}} {
		if res := m.PkeyAlloc(x.flags, x.rights); res.Errno != x.want {
			t.Errorf("%d: %s, want %s", i, res.Errno.Name(), x.want.Name())
		}
	}
	if res := m.Fork().PkeyAlloc(0, 0); res.Errno != linux.ENOSPC {
		t.Errorf("in a child: %s", res.Errno.Name())
	}
	if res := m.PkeyFree(0); res.Errno != linux.EINVAL {
		t.Errorf("free: %s", res.Errno.Name())
	}
	m.cfg.Pkeys = true
	if !m.PkeyAlloc(0, 0).Unsure || !m.PkeyFree(1).Unsure || m.PkeyFree(16).Errno != linux.EINVAL {
		t.Error("where there are keys, the host decides")
	}
}

// TestForkRing: the AIO contexts stay with the process that made them.
func TestForkRing(t *testing.T) {
	cfg := coreConfig()
	cfg.CPUs = 1
	m, c := newCore(t, cfg)
	if res := m.IoSetup(c, 1); res.Errno != 0 || res.Unsure {
		t.Fatalf("%+v", res)
	}
	var ring hostarch.Addr
	for r, v := range m.All() {
		if v.File != nil && v.File.Kind == Ring {
			ring = r.Start
		}
	}
	n := m.Fork()
	if res := n.IoDestroy(ring); res.Errno != linux.EINVAL {
		t.Errorf("destroyed in the child: %+v", res)
	}
	const fix = linux.MREMAP_MAYMOVE | linux.MREMAP_FIXED
	if res := n.MRemap(c, ring, pg, pg, fix, at(0)); res.Errno != linux.EINVAL {
		t.Errorf("moved in the child: %+v", res)
	}
	if res := m.MRemap(c, ring, pg, pg, fix, at(0)); res.Errno != 0 {
		t.Errorf("not moved in the parent: %+v", res)
	}
	if res := m.IoDestroy(at(0)); res.Errno != 0 {
		t.Errorf("not destroyed in the parent: %+v", res)
	}
}
