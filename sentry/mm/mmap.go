package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// MMapArgs are the arguments of mmap. File is nil for MAP_ANONYMOUS; a bad descriptor is the
// caller's to answer, as ksys_mmap_pgoff does before anything else.
type MMapArgs struct {
	Addr   hostarch.Addr
	Length uint64 // bytes
	Prot   uint64 // linux.PROT_*
	Flags  uint64 // linux.MAP_*
	File   *File
	Offset uint64 // bytes
}

// mapping is an mmap under way (struct mmap_state).
type mapping struct {
	addr, length uint64 // bytes
	pgoff        uint64 // pages
	flags        uint64 // MAP_*
	vmFlags      Flags
	file         *File
}

// MMap maps memory (sys_mmap, do_mmap, mmap_region). Result.Addr is where.
//
// Errnos: EINVAL (offset or fixed address not aligned, length 0, unknown mapping type, a stack of
// a file or of shared memory), ENOMEM (too long, no free range, RLIMIT_AS, RLIMIT_DATA, commit
// limit, vm.max_map_count), EOVERFLOW (offset), EEXIST (MAP_FIXED_NOREPLACE), EPERM
// (mmap_min_addr, MAP_LOCKED, noexec mount, seals, sealed VMAs below a fixed mapping), EAGAIN
// (RLIMIT_MEMLOCK), EACCES (mode of the descriptor, append-only file, MDWE), ENODEV (cannot be
// mapped), EOPNOTSUPP (MAP_SHARED_VALIDATE).
func (m *MemoryManager) MMap(c *Caller, a MMapArgs) Result {
	mp, res := m.prepareMMap(c, a)
	device := a.File != nil && a.File.Kind == Device
	switch {
	case res.Errno == 0 && !res.Unsure:
		res = m.mmapRegion(c, &mp)
	case device && res.Errno == linux.EINVAL: // perhaps since it is to grow downwards
	default:
		return res
	}
	if device {
		// A file that cannot be mapped at all refuses before that (ENODEV), which only the host knows.
		return Result{Unsure: true, Refusal: res.Refusal}
	}
	return res
}

// Adopt installs a mapping that the host made at addr when the manager was Unsure. The checks
// are not repeated: the host made them. An unknown mmap_base becomes known when the place of the
// mapping tells it.
func (m *MemoryManager) Adopt(c *Caller, a MMapArgs, addr hostarch.Addr) {
	mp := mapping{addr: uint64(addr), flags: a.Flags, file: a.File}
	mp.length = hostarch.PageAlign(m.mmapLength(&a))
	mp.pgoff = hostarch.Pages(a.Offset)
	mp.vmFlags = m.mmapFlags(c, &a)
	if a.File == nil && a.Flags&linux.MAP_HUGETLB != 0 {
		mp.file = m.hugetlbFile(a.Flags, mp.length)
		mp.pgoff = 0
	}
	if mp.file != nil {
		mp.fileFlags(a.Prot)
	} else {
		mp.anonFlags()
	}
	m.learnBase(&mp)
	m.noReserve(&mp)
	if accountable(mp.file, mp.vmFlags) {
		mp.vmFlags |= VM_ACCOUNT
	}
	m.install(&mp)
}

// AdoptRefusedMMap records that the host refused a mapping of which the manager was Unsure: a file's
// own mmap operation did, and what lay under a fixed mapping is gone by then
// (vms_abort_munmap_vmas).
func (m *MemoryManager) AdoptRefusedMMap(a MMapArgs) {
	if a.Flags&linux.MAP_FIXED == 0 {
		return
	}
	m.ops++
	start := uint64(a.Addr)
	m.unmap(start, start+hostarch.PageAlign(m.mmapLength(&a)))
}

// prepareMMap is MMap up to mmap_region: it chooses the address and the flags.
func (m *MemoryManager) prepareMMap(c *Caller, a MMapArgs) (mapping, Result) {
	var mp mapping
	if a.Offset%hostarch.PageSize != 0 {
		return mp, failed(linux.EINVAL) // sys_mmap
	}
	if errno := m.checkHugetlb(&a); errno != 0 {
		return mp, failed(errno)
	}
	length := m.mmapLength(&a)
	if length == 0 {
		return mp, failed(linux.EINVAL)
	}
	mp = mapping{flags: a.Flags, file: a.File, pgoff: hostarch.Pages(a.Offset)}
	if a.File == nil && a.Flags&linux.MAP_HUGETLB != 0 {
		mp.file = m.hugetlbFile(a.Flags, length)
	}
	if mp.flags&linux.MAP_FIXED_NOREPLACE != 0 {
		mp.flags |= linux.MAP_FIXED
	}
	hint := uint64(a.Addr)
	if mp.flags&linux.MAP_FIXED == 0 {
		hint = m.roundHint(hint)
	}
	mp.length = hostarch.PageAlign(length)
	pages := hostarch.Pages(mp.length)
	switch {
	case mp.length == 0:
		return mp, failed(linux.ENOMEM)
	case mp.pgoff+pages < mp.pgoff:
		return mp, failed(linux.EOVERFLOW)
	}
	if why := m.MapRefusal(); why != nil {
		return mp, refused(why)
	}
	mp.vmFlags = m.mmapFlags(c, &a)
	addr, errno, why, unsure := m.areaFor(c, areaRequest{hint, mp.length, mp.pgoff, mp.flags, mp.vmFlags, mp.file})
	if errno != 0 {
		return mp, Result{Errno: errno, Refusal: why}
	}
	mp.addr = uint64(addr)
	if !unsure && mp.flags&linux.MAP_FIXED_NOREPLACE != 0 {
		if seg, ok := m.vmas.Find(mp.addr); ok && seg.Start < mp.addr+mp.length {
			return mp, failed(linux.EEXIST)
		}
	}
	if mp.flags&linux.MAP_LOCKED != 0 && !c.canMlock() {
		return mp, Result{Errno: linux.EPERM, Refusal: &limits.Refusal{
			Resource: limits.MemLock, Wanted: mp.length, Errno: linux.EPERM}}
	}
	if why := m.mlockFutureOK(c, mp.vmFlags, mp.length); why != nil {
		return mp, refused(why)
	}
	if mp.file != nil {
		errno = mp.checkFile(&a)
	} else {
		errno = mp.anonFlags()
		if mp.vmFlags&VM_DROPPABLE != 0 && m.cfg.before(6, 11) {
			errno = linux.EINVAL
		}
	}
	if errno != 0 {
		return mp, failed(errno)
	}
	m.noReserve(&mp)
	return mp, Result{Unsure: unsure}
}

// roundHint moves a hint up to mmap_min_addr and down to a page (round_hint_to_min).
func (m *MemoryManager) roundHint(hint uint64) uint64 {
	hint &^= hostarch.PageSize - 1
	if hint != 0 && hint < uint64(m.cfg.MmapMinAddr) {
		return uint64(m.cfg.MmapMinAddr.RoundUp())
	}
	return hint
}

// mmapLength returns the length, which mappings of huge pages round up to whole ones.
func (m *MemoryManager) mmapLength(a *MMapArgs) uint64 {
	size := uint64(0)
	switch {
	case a.File != nil && a.File.Kind == Hugetlb:
		size = a.File.HugeSize
	case a.File == nil && a.Flags&linux.MAP_HUGETLB != 0:
		size = m.hugeSize(a.Flags)
	}
	if size == 0 {
		return a.Length
	}
	return (a.Length + size - 1) &^ (size - 1)
}

// readImpliesExec applies the personality of that name to prot.
func readImpliesExec(c *Caller, file *File, prot uint64) uint64 {
	if prot&linux.PROT_READ != 0 && c.Personality&linux.READ_IMPLIES_EXEC != 0 && (file == nil || !file.NoExec) {
		prot |= linux.PROT_EXEC
	}
	return prot
}

// execOnlyPkey stands for the protection key that the kernel reserves for PROT_EXEC alone. Which
// one it is cannot be seen; it is told apart from those that programs name.
const execOnlyPkey = 15

// protFlags returns the VM_* bits of prot with this protection key (calc_vm_prot_bits).
func protFlags(prot uint64, pkey int) Flags {
	return Flags(prot)&vmAccess | Flags(pkey)<<VM_PKEY_SHIFT&vmPkeyMask
}

// mmapFlags returns the VM_* bits that follow from the arguments (calc_vm_prot_bits,
// calc_vm_flag_bits) and the address space's defaults.
func (m *MemoryManager) mmapFlags(c *Caller, a *MMapArgs) Flags {
	prot, pkey := readImpliesExec(c, a.File, a.Prot), 0
	if prot == linux.PROT_EXEC && m.cfg.Pkeys {
		pkey = execOnlyPkey
	}
	f := protFlags(prot, pkey) | m.defFlags | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
	if a.Flags&linux.MAP_GROWSDOWN != 0 {
		f |= VM_GROWSDOWN
	}
	if a.Flags&linux.MAP_LOCKED != 0 {
		f |= VM_LOCKED
	}
	if a.Flags&linux.MAP_SYNC != 0 {
		f |= VM_SYNC
	}
	if a.Flags&linux.MAP_STACK != 0 && m.cfg.THP && !m.cfg.before(6, 7) {
		f |= VM_NOHUGEPAGE
	}
	return f
}

// anonFlags decides the type of a mapping without a file.
func (mp *mapping) anonFlags() linux.Errno {
	switch mp.flags & linux.MAP_TYPE {
	case linux.MAP_SHARED:
		if mp.vmFlags&VM_GROWSDOWN != 0 {
			return linux.EINVAL
		}
		mp.pgoff = 0
		mp.vmFlags |= VM_SHARED | VM_MAYSHARE
		return 0
	case linux.MAP_DROPPABLE:
		if mp.flags&(linux.MAP_LOCKED|linux.MAP_HUGETLB) != 0 || mp.vmFlags&VM_GROWSDOWN != 0 {
			return linux.EINVAL
		}
		mp.vmFlags |= VM_DROPPABLE | VM_NORESERVE | VM_WIPEONFORK | VM_DONTDUMP
	case linux.MAP_PRIVATE:
	default:
		return linux.EINVAL
	}
	mp.pgoff = hostarch.Pages(mp.addr)
	return 0
}

// noReserve applies MAP_NORESERVE.
func (m *MemoryManager) noReserve(mp *mapping) {
	if mp.flags&linux.MAP_NORESERVE == 0 {
		return
	}
	if m.cfg.Overcommit != limits.Never || mp.file != nil && mp.file.Kind == Hugetlb {
		mp.vmFlags |= VM_NORESERVE
	}
}

// denyWriteExec reports whether MDWE forbids a VMA to go from the old to the new flags
// (map_deny_write_exec).
func (m *MemoryManager) denyWriteExec(old, new Flags) bool {
	if !m.mdwe || new&VM_EXEC == 0 {
		return false
	}
	return new&VM_WRITE != 0 || old&VM_EXEC == 0
}

// mmapRegion checks what depends on the VMAs that the mapping replaces, and installs it
// (mmap_region). The old VMAs are taken off before the limits are looked at, so that replacing
// memory is not refused for want of it.
func (m *MemoryManager) mmapRegion(c *Caller, mp *mapping) Result {
	if m.denyWriteExec(mp.vmFlags, mp.vmFlags) {
		return failed(linux.EACCES)
	}
	end := mp.addr + mp.length
	if errno := m.checkUnmap(mp.addr, end); errno != 0 {
		return m.unmapFailed(mp.addr, end, errno)
	}
	pages := hostarch.Pages(mp.length)
	var oldPages, oldCharged, doubtful uint64
	for seg, ok := m.vmas.Find(mp.addr); ok && seg.Start < end; seg, ok = m.vmas.Find(seg.End) {
		n := hostarch.Pages(min(seg.End, end) - max(seg.Start, mp.addr))
		oldPages += n
		if seg.Value.Flags&VM_ACCOUNT != 0 {
			oldCharged += n
			if m.maybeUncharged(&seg.Value) {
				doubtful += n
			}
		}
	}
	if why := m.mayExpandVM(c, mp.vmFlags, pages-oldPages); why != nil {
		return m.unmapAborted(mp.addr, end, why)
	}
	if accountable(mp.file, mp.vmFlags) {
		if more := pages - oldCharged; more != 0 {
			if why := m.enoughMemory(more); why != nil {
				return m.unmapAborted(mp.addr, end, why)
			}
		}
		if doubtful != 0 && m.enoughMemory(pages-oldCharged+doubtful) != nil {
			return Result{Unsure: true}
		}
		mp.vmFlags |= VM_ACCOUNT
	}
	if mp.file != nil && (mp.file.Kind == Hugetlb || mp.file.Kind == Device) {
		return Result{Unsure: true} // the pool of huge pages, or the driver, decides
	}
	if mp.vmFlags&VM_SYNC != 0 && mp.file != nil && mp.file.Kind == Regular && !mp.file.DAX {
		return Result{Unsure: true} // filesystems that can do DAX refuse it, the others ignore it
	}
	if mp.isNewShmem() && mp.vmFlags&VM_NORESERVE == 0 {
		if why := m.enoughMemory(pages); why != nil { // shmem_acct_size
			return m.unmapLost(mp.addr, end, why)
		}
	}
	m.install(mp)
	return succeeded(hostarch.Addr(mp.addr))
}

// isNewShmem reports whether the mapping makes a shared memory object (shmem_zero_setup).
func (mp *mapping) isNewShmem() bool {
	return mp.vmFlags&VM_SHARED != 0 && (mp.file == nil || mp.file.Kind == DevZero)
}

// sharedAnonName is how the object under shared anonymous memory shows.
const sharedAnonName = "/dev/zero (deleted)"

// anonHugeName is how the object under MAP_HUGETLB shows.
const anonHugeName = "/anon_hugepage (deleted)"

// install replaces what lies in the range by the new mapping. Nothing is checked.
func (m *MemoryManager) install(mp *mapping) {
	m.ops++
	m.unmap(mp.addr, mp.addr+mp.length)
	v := VMA{Flags: mp.vmFlags, PgOff: mp.pgoff, File: mp.file, Anon: AnonVMA{Born: m.ops}}
	if mp.isNewShmem() {
		v.File = &File{Kind: Shmem, Name: sharedAnonName, Dev: 1, Readable: true, Writable: true, Size: mp.length}
	}
	if mp.file != nil && mp.file.Kind == Hugetlb {
		v.Flags |= VM_HUGETLB | VM_DONTEXPAND
	}
	if mp.file != nil && mp.file.Kind == Ring {
		v.Flags |= VM_DONTEXPAND // aio_ring_mmap
	}
	if mp.file != nil {
		v.Flags |= mp.file.MapFlags
	}
	if m.mergeAny && v.canKSM() {
		v.Flags |= VM_MERGEABLE
	}
	seg := segment.Segment[VMA]{Start: mp.addr, End: mp.addr + mp.length, Value: v}
	if v.Flags&VM_LOCKED != 0 && !v.canLock() {
		// It was compared with its neighbours while it was still to be locked, which they are not.
		v.Flags &^= vmLockedMask
		seg.Value.Flags = v.Flags
		m.loose = true
		m.insert(seg)
	} else {
		m.insertMerged(seg)
	}
	// do_mmap does not know that what cannot be locked lost the flag: it is faulted in as well.
	if mp.vmFlags&VM_LOCKED != 0 || mp.flags&(linux.MAP_POPULATE|linux.MAP_NONBLOCK) == linux.MAP_POPULATE {
		m.populateRange(mp.addr, mp.addr+mp.length, true)
	}
}

// canKSM reports whether PR_SET_MEMORY_MERGE applies to the VMA (ksm_compatible).
func (v *VMA) canKSM() bool {
	const never = VM_SHARED | VM_MAYSHARE | vmSpecial | VM_HUGETLB | VM_DROPPABLE
	return v.Flags&never == 0 && (v.File == nil || !v.File.DAX)
}

// learnBase derives an unknown mmap_base from where the host put a mapping that it was free to
// place: the search goes down from the base, so a mapping that no VMA touches from above ends
// there.
func (m *MemoryManager) learnBase(mp *mapping) {
	if m.mmapBase != 0 || m.layout != TopDown || mp.flags&(linux.MAP_FIXED|linux.MAP_FIXED_NOREPLACE|linux.MAP_32BIT) != 0 {
		return
	}
	end := mp.addr + mp.length
	if _, ok := m.vmas.At(end); ok {
		return
	}
	m.mmapBase = hostarch.Addr(end)
	q := areaRequest{0, mp.length, mp.pgoff, mp.flags, mp.vmFlags, mp.file}
	if a := m.searchByKind(q); !a.known() || a.addr != mp.addr {
		m.mmapBase = 0
	}
}
