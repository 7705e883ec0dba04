package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// Config is what of the host's kernel version and configuration decides results. It is probed
// once and shared by every address space of a sandbox; it is not changed afterwards.
type Config struct {
	Version         Version               // the kernel's
	TaskSize        hostarch.Addr         // end of user addresses (TASK_SIZE_MAX, 47 bits)
	MmapMinAddr     hostarch.Addr         // mmap_min_addr: hints and searches stay above it; the larger of the next and CONFIG_LSM_MMAP_MIN_ADDR
	DACMinAddr      hostarch.Addr         // vm.mmap_min_addr: a fixed address below it needs CAP_SYS_RAWIO; 0 means MmapMinAddr
	MaxMapCount     int                   // vm.max_map_count, VMAs
	StackGuardGap   uint64                // stack_guard_gap, bytes
	THP             bool                  // CONFIG_TRANSPARENT_HUGEPAGE: large anonymous mappings are aligned
	THPKnob         bool                  // transparent_hugepage is not "never"
	ShmemHuge       bool                  // shared anonymous memory and memfds are aligned for huge pages
	UserShadowStack bool                  // CONFIG_X86_USER_SHADOW_STACK and a cpu that has it
	Pkeys           bool                  // protection keys are usable (pkey_alloc succeeds)
	AnonVMAName     bool                  // CONFIG_ANON_VMA_NAME
	NUMA            bool                  // CONFIG_NUMA
	KSM             bool                  // CONFIG_KSM
	SoftDirty       bool                  // CONFIG_MEM_SOFT_DIRTY
	MemFailure      bool                  // CONFIG_MEMORY_FAILURE
	DefaultHuge     uint64                // default hugetlb page size, bytes; 0 when there is none
	GiganticPages   bool                  // there are hugetlb pages of 1 GiB, too
	Overcommit      limits.OvercommitMode // vm.overcommit_memory
	NoShadowStack   bool                  // the kernel has no map_shadow_stack at all: ENOSYS
	CPUs            int                   // possible cpus, which size AIO rings; 0 = unknown
	LegacyLayout    bool                  // vm.legacy_va_layout: every program is laid out bottom-up
	NoRandomize     bool                  // kernel.randomize_va_space is 0
	Memory          uint64                // RAM and swap together, pages: overcommit mode 0 refuses more at once; 0 = unknown
}

// Creds is what of a process's credentials decides results.
type Creds struct {
	IPCLock     bool // CAP_IPC_LOCK
	SysRawIO    bool // CAP_SYS_RAWIO
	SysResource bool // CAP_SYS_RESOURCE
	SysAdmin    bool // CAP_SYS_ADMIN
	SysNice     bool // CAP_SYS_NICE
}

// Layout says where get_unmapped_area searches first.
type Layout uint8

const (
	// TopDown searches downwards from MmapBase, then upwards as a fallback.
	TopDown Layout = iota
	// BottomUp searches upwards from MmapBase (the kernel's own legacy layout).
	BottomUp
	// Legacy searches upwards from MmapBase as Linux 2.6 did, from where the last search ended
	// (free_area_cache). No kernel of today does that.
	Legacy
)

// FileKind says which of the kernel's file operations a mapped file has.
type FileKind uint8

const (
	// Regular files are those of disk filesystems, and any file whose mmap just maps pages.
	Regular FileKind = iota
	// Shmem is a memfd or a file of tmpfs, and the object under shared anonymous memory.
	Shmem
	// Hugetlb is a file of hugetlbfs, a MAP_HUGETLB memfd, and the object under MAP_HUGETLB.
	Hugetlb
	// DevZero is /dev/zero: private mappings of it are anonymous memory, shared ones are Shmem.
	DevZero
	// Device is a file whose driver decides: its mmap may refuse, or set flags of its own. The
	// outcome is only known from the host.
	Device
	// Unmappable files have no mmap operation (directories, sockets, pipes, ...).
	Unmappable
	// SysV is a System V shared memory segment.
	SysV
	// Ring is an AIO completion ring.
	Ring
)

// File is an open file description (struct file) as mmap sees it. It is not changed once it is
// in use; VMAs of one description share one *File, and pointer equality is the kernel's
// comparison of vm_file.
type File struct {
	Kind       FileKind
	Dev, Ino   uint64 // identity as /proc/PID/maps prints it
	Name       string // path as /proc/PID/maps prints it; may be empty
	Readable   bool   // FMODE_READ
	Writable   bool   // FMODE_WRITE
	AppendOnly bool   // the inode has the append-only attribute
	NoExec     bool   // the mount is noexec, or the file may never be executable
	Seals      uint32 // linux.F_SEAL_*
	THPArea    bool   // the file's get_unmapped_area is thp_get_unmapped_area (ext4, xfs, btrfs)
	HugeSize   uint64 // for Hugetlb: bytes of a huge page
	DAX        bool   // supports MAP_SYNC
	MapFlags   Flags  // that the driver gives to every mapping, where that is known
	Size       uint64 // bytes, for SysV, Ring and shared anonymous memory; for other files 0, unless nobody changes it
	MaxSize    uint64 // the largest offset that can be mapped (file_mmap_size_max), bytes; 0 = 2^63-1
	Close      bool   // its VMAs have a close operation (FUSE, ...): merging may not remove them
	// UnsureIdentity: whether another *File with equal Dev and Ino is the same description is not
	// known; the kernel's VMA list decides (see MemoryManager.Reconcile).
	UnsureIdentity bool
}

// Flags are a VMA's VM_* bits, numbered as Linux numbers them where it does so publicly.
type Flags uint64

// VMA flags (include/linux/mm.h).
const (
	VM_READ         Flags = 0x1
	VM_WRITE        Flags = 0x2
	VM_EXEC         Flags = 0x4
	VM_SHARED       Flags = 0x8
	VM_MAYREAD      Flags = 0x10
	VM_MAYWRITE     Flags = 0x20
	VM_MAYEXEC      Flags = 0x40
	VM_MAYSHARE     Flags = 0x80
	VM_GROWSDOWN    Flags = 0x100
	VM_PFNMAP       Flags = 0x400
	VM_MAYBE_GUARD  Flags = 0x800
	VM_LOCKED       Flags = 0x2000
	VM_IO           Flags = 0x4000
	VM_SEQ_READ     Flags = 0x8000
	VM_RAND_READ    Flags = 0x10000
	VM_DONTCOPY     Flags = 0x20000
	VM_DONTEXPAND   Flags = 0x40000
	VM_LOCKONFAULT  Flags = 0x80000
	VM_ACCOUNT      Flags = 0x100000
	VM_NORESERVE    Flags = 0x200000
	VM_HUGETLB      Flags = 0x400000
	VM_SYNC         Flags = 0x800000
	VM_WIPEONFORK   Flags = 0x2000000
	VM_DONTDUMP     Flags = 0x4000000
	VM_SOFTDIRTY    Flags = 0x8000000
	VM_MIXEDMAP     Flags = 0x10000000
	VM_HUGEPAGE     Flags = 0x20000000
	VM_NOHUGEPAGE   Flags = 0x40000000
	VM_MERGEABLE    Flags = 0x80000000
	VM_PKEY_SHIFT         = 32 // four bits: the protection key
	VM_SHADOW_STACK Flags = 1 << 37
	VM_DROPPABLE    Flags = 1 << 40
	VM_SEALED       Flags = 1 << 42
)

// VMA is one mapping (struct vm_area_struct) without its range, which the tree holds. It is a
// value, so that a fork's copy shares nothing that can change.
type VMA struct {
	Flags Flags
	PgOff uint64 // offset in the file in pages; for anonymous memory, the address it was mapped at, in pages
	File  *File  // nil for private anonymous memory
	Rare  *Rare  // nil for most; not changed once it is in use
	Anon  AnonVMA
}

// Rare is what few VMAs have.
type Rare struct {
	Policy  uint64 // identity of a NUMA policy set by mbind; 0 is the default
	Name    string // PR_SET_VMA_ANON_NAME
	Special string // "[vdso]", "[vvar]", "[vsyscall]", ...: mappings installed by the kernel
}

// AnonVMA is what is known of a VMA's anon_vma, which page faults set without our seeing it and
// which can keep equal neighbours from merging.
type AnonVMA struct {
	ID     uint32 // equal: they may merge; 0: never faulted as far as is known
	Forked bool   // inherited over fork: the anon_vma_chain is not singular
	// Born is the operation of the address space that made the oldest part of the VMA. From it
	// follows what may have been faulted in since, and what was inherited over the last fork.
	Born uint32
}

// Result is the outcome of one memory call. Errno is zero on success; then Addr is the value
// returned to the program (zero for calls that return nothing).
type Result struct {
	Addr    hostarch.Addr
	Errno   linux.Errno
	Refusal *limits.Refusal // the limit that refused, where one did
	// Unsure: the manager cannot know the host's answer (a device's own mmap, an unknown
	// mmap_base, ...): the answer must be observed and handed to Adopt. Nothing was changed.
	Unsure bool
	// Partial: Errno is set, and yet part of the change took place before the refusal, as in the
	// kernel, where mprotect and its like are not atomic. The host must run the call as well.
	Partial bool
	// Guess: the answer is certain, but how the VMAs merged is not, since that depends on which
	// pages were faulted in. The kernel's list of VMAs tells (see MemoryManager.Reconcile).
	Guess bool
}

// Value returns what the program sees: the address, or the errno negated.
func (r *Result) Value() int64 {
	if r.Errno != 0 {
		return -int64(r.Errno)
	}
	return int64(r.Addr)
}

// Totals are the counters of mm_struct, in pages (MapCount: VMAs).
type Totals struct {
	TotalVM, LockedVM, DataVM, ExecVM, StackVM uint64
	MapCount                                   int
	Committed                                  uint64 // pages charged by VM_ACCOUNT (private writable)
	SharedVM                                   uint64 // pages of VM_SHARED mappings
	HugeVM                                     uint64 // pages of private mappings of huge pages, which Linux counts apart
}
