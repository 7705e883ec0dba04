package kernel

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// apply has the memory manager decide call c of task t, and changes the model accordingly. Calls
// whose outcome only the host knows come back Unsure, with the model unchanged.
func (k *Kernel) apply(t *Task, c *Call) (mm.Result, error) {
	m, g, a := t.space.mm, &t.Group.caller, &c.Args
	addr := hostarch.Addr(a[0])
	switch c.Nr {
	case linux.SYS_MMAP:
		return k.mmap(t, c)
	case linux.SYS_MUNMAP:
		return m.MUnmap(g, addr, a[1]), nil
	case linux.SYS_MREMAP:
		return m.MRemap(g, addr, a[1], a[2], a[3], hostarch.Addr(a[4])), nil
	case linux.SYS_MPROTECT:
		return m.MProtect(g, addr, a[1], a[2], -1), nil
	case linux.SYS_PKEY_MPROTECT:
		if int32(a[3]) == -1 {
			return m.MProtect(g, addr, a[1], a[2], -1), nil
		}
		// Whether the key is allocated is not in the model: the host's answer decides.
		return mm.Result{Unsure: true}, nil
	case linux.SYS_BRK:
		return m.Brk(g, addr), nil
	case linux.SYS_MADVISE:
		return m.MAdvise(g, addr, a[1], int(int32(a[2]))), nil
	case linux.SYS_PROCESS_MADVISE:
		return k.processMAdvise(t, c), nil
	case linux.SYS_MLOCK, linux.SYS_MLOCK2, linux.SYS_MLOCKALL, linux.SYS_MUNLOCK, linux.SYS_MUNLOCKALL:
		return k.mlock(t, c), nil
	case linux.SYS_MSYNC:
		res := m.MSync(g, addr, a[1], uint64(int32(a[2])))
		res.Unsure = false // whether the file can be synced, the kernel says; no VMA changes by it
		return res, nil
	case linux.SYS_REMAP_FILE_PAGES:
		// Unmapping the last attachment of a segment that was removed destroys it, so that it cannot be
		// mapped again; and a memfd may have been sealed since it was mapped.
		if _, v, ok := m.Find(addr); ok && v.File != nil &&
			(v.File.Kind == mm.SysV || v.File.Kind == mm.Shmem && !v.File.IsObject()) {
			return mm.Result{Unsure: true}, nil
		}
		return m.RemapFilePages(g, addr, a[1], a[2], a[3], a[4]), nil
	case linux.SYS_SHMAT:
		return k.shmat(t, c)
	case linux.SYS_SHMGET:
		return mm.Result{Unsure: true}, nil
	case linux.SYS_SHMDT:
		return m.ShmDt(g, addr), nil
	case linux.SYS_MSEAL:
		return m.MSeal(g, addr, a[1], a[2]), nil
	case linux.SYS_MAP_SHADOW_STACK:
		return m.MapShadowStack(g, addr, a[1], uint64(uint32(a[2]))), nil
	case linux.SYS_PERSONALITY:
		if persona := uint64(uint32(a[0])); persona != linux.PERSONALITY_QUERY {
			t.personality = persona
		}
		return mm.Result{}, nil
	case linux.SYS_PRCTL:
		return k.prctl(t, c), nil
	}
	return mm.Result{Unsure: true}, nil
}

// mmap does what sys_mmap and ksys_mmap_pgoff do before do_mmap: it finds the file.
func (k *Kernel) mmap(t *Task, c *Call) (mm.Result, error) {
	a := &c.Args
	args := mm.MMapArgs{Addr: hostarch.Addr(a[0]), Length: a[1], Prot: a[2], Flags: a[3], Offset: a[5]}
	if args.Offset&(hostarch.PageSize-1) != 0 {
		return mm.Result{Errno: linux.EINVAL}, nil
	}
	if args.Flags&linux.MAP_ANONYMOUS == 0 {
		f, err := k.host.File(t, int32(a[4]))
		if errno, err := errnoOf(err); err != nil {
			return mm.Result{}, err
		} else if errno != 0 {
			return mm.Result{Errno: errno}, nil
		}
		args.File = f
	}
	t.call.mmap = args
	return t.space.mm.MMap(&t.Group.caller, args), nil
}

// shmat does what do_shmat does before do_mmap: it finds the segment, and asks whether the caller may
// have it.
func (k *Kernel) shmat(t *Task, c *Call) (mm.Result, error) {
	a := &c.Args
	id, addr, flags := int32(a[0]), hostarch.Addr(a[1]), uint64(int32(a[2]))
	t.call.segment = nil
	found, err := k.host.Segment(t, id)
	if errno, err := errnoOf(err); err != nil || errno != 0 {
		return mm.Result{Unsure: true}, nil // the kernel says what is wrong with the identifier
	}
	if errno := mm.CheckShmAt(addr, flags); errno != 0 {
		return mm.Result{Errno: errno}, nil
	}
	need := uint32(4)
	if flags&linux.SHM_RDONLY == 0 {
		need |= 2
	}
	if flags&linux.SHM_EXEC != 0 {
		need |= 1
	}
	if need&^found.Allowed != 0 {
		return mm.Result{Errno: linux.EACCES}, nil // ipcperms
	}
	seg, size := found.File, k.hugeSegments[id]
	t.call.segment = seg
	if t.call.unseen = size == 0 && found.MayBeHuge; t.call.unseen {
		return mm.Result{Unsure: true}, nil
	}
	if size != 0 {
		makeHuge(seg, size)
	}
	return t.space.mm.ShmAt(&t.Group.caller, seg, addr, flags), nil
}

// makeHuge makes a segment one of huge pages of that size.
func makeHuge(seg *mm.File, size uint64) {
	seg.Kind, seg.HugeSize, seg.Name = mm.Hugetlb, size, mm.HugeSegmentName
	seg.Size = (seg.Size + size - 1) &^ (size - 1)
	seg.Dev, seg.Ino = 0, 0 // it is on a filesystem of its own
}

// lookAtSegment finds out from where it lies whether the segment that t has attached at addr is one of
// huge pages.
func (k *Kernel) lookAtSegment(t *Task, addr hostarch.Addr) error {
	entries, err := k.maps(t)
	for i := range entries {
		if e := &entries[i]; e.Range.Start == addr && e.Dev() != t.call.segment.Dev {
			makeHuge(t.call.segment, max(k.cfg.DefaultHuge, hostarch.HugePageSize))
		}
	}
	return err
}

// processMAdvise looks up what a process_madvise is about to advise. It stays the host's to answer,
// since the ranges are in memory, where another thread may change them; what they were tells which
// flags of VMAs changed, which no list shows.
func (k *Kernel) processMAdvise(t *Task, c *Call) mm.Result {
	const (
		uioMaxIOV  = 1024
		maxRWCount = 1<<31 - hostarch.PageSize // bytes, of all ranges together
	)
	if n := c.Args[2]; n <= uioMaxIOV {
		t.call.advised, _ = k.host.Ranges(t, hostarch.Addr(c.Args[1]), n)
	}
	left := uint64(maxRWCount)
	for i := range t.call.advised {
		r := &t.call.advised[i]
		r.End = min(r.End, r.Start+hostarch.Addr(left))
		left -= r.Length()
	}
	return mm.Result{Unsure: true}
}

// adoptMAdvise gives the advice range by range, up to the first that refuses (vector_madvise).
func (k *Kernel) adoptMAdvise(t *Task) {
	for _, r := range t.call.advised {
		res := t.space.mm.MAdvise(&t.Group.caller, r.Start, r.Length(), int(int32(t.call.call.Args[3])))
		if res.Errno != 0 {
			return
		}
	}
}

// mlock decides the calls that lock.
func (k *Kernel) mlock(t *Task, c *Call) mm.Result {
	m, g, a := t.space.mm, &t.Group.caller, &c.Args
	switch c.Nr {
	case linux.SYS_MLOCK:
		return lock(m, g, a, 0)
	case linux.SYS_MLOCK2:
		flags := uint64(uint32(a[2]))
		if flags&^linux.MLOCK_ONFAULT != 0 {
			return mm.Result{Errno: linux.EINVAL}
		}
		return lock(m, g, a, flags)
	case linux.SYS_MLOCKALL:
		return m.MLockAll(g, uint64(uint32(a[0])))
	case linux.SYS_MUNLOCK:
		return m.MUnlock(g, hostarch.Addr(a[0]), a[1])
	}
	return m.MUnlockAll(g)
}

// lock locks a range. Where only faulting the pages in can tell the errno, the VMAs are locked all
// the same, and the program gets the errno from the kernel.
func lock(m *mm.MemoryManager, g *mm.Caller, a *[6]uint64, flags uint64) mm.Result {
	res := m.MLock(g, hostarch.Addr(a[0]), a[1], flags)
	if res.Unsure {
		return m.AdoptMLock(g, hostarch.Addr(a[0]), a[1], flags)
	}
	return res
}

// prctl decides the options that concern mappings.
func (k *Kernel) prctl(t *Task, c *Call) mm.Result {
	a := &c.Args
	switch uint32(a[0]) { // an int: the kernel ignores the upper half
	case linux.PR_SET_MDWE:
		return t.space.mm.SetMDWE(a[1], a[2], a[3], a[4])
	}
	return mm.Result{Unsure: true}
}

// refreshCaller makes the process's record of its caller that of task t at this moment: each
// thread has its own personality and capabilities, and may drop and regain the latter (seteuid(2))
// without a call that is stopped. They are looked at where the decision can depend on them.
func (k *Kernel) refreshCaller(t *Task, c *Call) error {
	t.Group.caller.Personality = t.personality
	if err := k.refreshLimits(t, c); err != nil {
		return err
	}
	if !k.credsMatter(t, c) {
		return nil
	}
	creds, err := k.host.Creds(t)
	if err != nil {
		return err
	}
	t.Group.caller.Creds = creds
	return nil
}

// refreshLimits looks at the limits that can decide the call: anybody may change them at any time
// (prlimit(2)), without a call of the program's.
func (k *Kernel) refreshLimits(t *Task, c *Call) error {
	switch c.Nr {
	case linux.SYS_MPROTECT, linux.SYS_PKEY_MPROTECT:
		if c.Args[2]&linux.PROT_WRITE == 0 {
			return nil
		}
		return k.readLimit(t, limits.Data)
	case linux.SYS_MMAP, linux.SYS_BRK:
		locks := c.Nr == linux.SYS_MMAP && c.Args[3]&linux.MAP_LOCKED != 0 || t.space.mm.Locks()
		if locks || k.ledger != nil {
			return k.readLimits(t)
		}
		// That of stacks is read where it matters, see needsStacks.
		if err := k.readLimit(t, limits.AS); err != nil {
			return err
		}
		return k.readLimit(t, limits.Data)
	case linux.SYS_MREMAP, linux.SYS_SHMAT, linux.SYS_REMAP_FILE_PAGES,
		linux.SYS_MLOCK, linux.SYS_MLOCK2, linux.SYS_MLOCKALL, linux.SYS_IO_SETUP:
		return k.readLimits(t)
	}
	return k.noteLimits(t, c)
}

// lowAddr is above every vm.mmap_min_addr, below which only a privileged caller may map.
const lowAddr = 1 << 20

// credsMatter reports whether the call's outcome can depend on capabilities.
func (k *Kernel) credsMatter(t *Task, c *Call) bool {
	a := &c.Args
	switch c.Nr {
	case linux.SYS_MLOCK, linux.SYS_MLOCK2, linux.SYS_MLOCKALL, linux.SYS_MBIND:
		return true
	case linux.SYS_MMAP:
		fixed := a[3]&(linux.MAP_FIXED|linux.MAP_FIXED_NOREPLACE) != 0
		if a[3]&linux.MAP_LOCKED != 0 || fixed && a[0] < lowAddr {
			return true
		}
	case linux.SYS_MREMAP:
		// In place it grows from where it is.
		if a[0] < lowAddr || a[3]&linux.MREMAP_FIXED != 0 && a[4] < lowAddr {
			return true
		}
	case linux.SYS_SHMAT:
		if a[1] < lowAddr {
			return true
		}
	case linux.SYS_REMAP_FILE_PAGES:
		if a[0] < lowAddr {
			return true
		}
	case linux.SYS_BRK, linux.SYS_IO_SETUP:
	default:
		return false
	}
	return t.space.mm.Locks()
}
