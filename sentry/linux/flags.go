// Package linux is the part of Linux's user ABI on amd64 that the sentry speaks: numbers and
// names, so that pure code builds anywhere.
package linux

// Protection bits of mmap and mprotect (include/uapi/asm-generic/mman-common.h).
const (
	PROT_NONE      = 0x0
	PROT_READ      = 0x1
	PROT_WRITE     = 0x2
	PROT_EXEC      = 0x4
	PROT_SEM       = 0x8
	PROT_GROWSDOWN = 0x01000000
	PROT_GROWSUP   = 0x02000000
)

// Flags of mmap.
const (
	MAP_SHARED          = 0x01
	MAP_PRIVATE         = 0x02
	MAP_SHARED_VALIDATE = 0x03
	MAP_DROPPABLE       = 0x08
	MAP_TYPE            = 0x0f
	MAP_FIXED           = 0x10
	MAP_ANONYMOUS       = 0x20
	MAP_32BIT           = 0x40
	MAP_ABOVE4G         = 0x80
	MAP_GROWSDOWN       = 0x0100
	MAP_DENYWRITE       = 0x0800
	MAP_EXECUTABLE      = 0x1000
	MAP_LOCKED          = 0x2000
	MAP_NORESERVE       = 0x4000
	MAP_POPULATE        = 0x8000
	MAP_NONBLOCK        = 0x10000
	MAP_STACK           = 0x20000
	MAP_HUGETLB         = 0x40000
	MAP_SYNC            = 0x80000
	MAP_FIXED_NOREPLACE = 0x100000
	MAP_UNINITIALIZED   = 0x4000000
	MAP_HUGE_SHIFT      = 26
	MAP_HUGE_MASK       = 0x3f
)

// Flags of mremap.
const (
	MREMAP_MAYMOVE   = 1
	MREMAP_FIXED     = 2
	MREMAP_DONTUNMAP = 4
)

// Flags of msync.
const (
	MS_ASYNC      = 1
	MS_INVALIDATE = 2
	MS_SYNC       = 4
)

// Flags of mlock2 and mlockall.
const (
	MLOCK_ONFAULT = 1
	MCL_CURRENT   = 1
	MCL_FUTURE    = 2
	MCL_ONFAULT   = 4
)

// Advice of madvise.
const (
	MADV_NORMAL          = 0
	MADV_RANDOM          = 1
	MADV_SEQUENTIAL      = 2
	MADV_WILLNEED        = 3
	MADV_DONTNEED        = 4
	MADV_FREE            = 8
	MADV_REMOVE          = 9
	MADV_DONTFORK        = 10
	MADV_DOFORK          = 11
	MADV_MERGEABLE       = 12
	MADV_UNMERGEABLE     = 13
	MADV_HUGEPAGE        = 14
	MADV_NOHUGEPAGE      = 15
	MADV_DONTDUMP        = 16
	MADV_DODUMP          = 17
	MADV_WIPEONFORK      = 18
	MADV_KEEPONFORK      = 19
	MADV_COLD            = 20
	MADV_PAGEOUT         = 21
	MADV_POPULATE_READ   = 22
	MADV_POPULATE_WRITE  = 23
	MADV_DONTNEED_LOCKED = 24
	MADV_COLLAPSE        = 25
	MADV_HWPOISON        = 100
	MADV_SOFT_OFFLINE    = 101
	MADV_GUARD_INSTALL   = 102
	MADV_GUARD_REMOVE    = 103
)

// Options of prctl that concern memory.
const (
	PR_SET_MM                = 35
	PR_SET_THP_DISABLE       = 41
	PR_GET_THP_DISABLE       = 42
	PR_SET_MDWE              = 65
	PR_GET_MDWE              = 66
	PR_MDWE_REFUSE_EXEC_GAIN = 1
	PR_MDWE_NO_INHERIT       = 2
	PR_SET_MEMORY_MERGE      = 67
	PR_GET_MEMORY_MERGE      = 68
	PR_SET_VMA               = 0x53564d41
	PR_SET_VMA_ANON_NAME     = 0
)

// Operations of arch_prctl.
const (
	ARCH_SET_GS             = 0x1001
	ARCH_SET_FS             = 0x1002
	ARCH_GET_FS             = 0x1003
	ARCH_GET_GS             = 0x1004
	ARCH_MAP_VDSO_X32       = 0x2001
	ARCH_MAP_VDSO_32        = 0x2002
	ARCH_MAP_VDSO_64        = 0x2003
	ARCH_GET_UNTAG_MASK     = 0x4001
	ARCH_ENABLE_TAGGED_ADDR = 0x4002
	ARCH_SHSTK_ENABLE       = 0x5001
	ARCH_SHSTK_STATUS       = 0x5005
)

// Flags of shmget and shmat.
const (
	SHM_RDONLY  = 0o10000
	SHM_RND     = 0o20000
	SHM_REMAP   = 0o40000
	SHM_EXEC    = 0o100000
	IPC_CREAT   = 0o1000
	SHM_HUGETLB = 0o4000
	SHMLBA      = 4096
)

// Flags of clone.
const (
	CSIGNAL             = 0xff
	CLONE_NEWTIME       = 0x80
	CLONE_VM            = 0x100
	CLONE_FS            = 0x200
	CLONE_FILES         = 0x400
	CLONE_SIGHAND       = 0x800
	CLONE_PIDFD         = 0x1000
	CLONE_VFORK         = 0x4000
	CLONE_PARENT        = 0x8000
	CLONE_THREAD        = 0x10000
	CLONE_PARENT_SETTID = 0x100000
	CLONE_DETACHED      = 0x400000
	CLONE_UNTRACED      = 0x800000
	CLONE_CLEAR_SIGHAND = 0x100000000 // clone3 only, as the next
	CLONE_INTO_CGROUP   = 0x200000000
)

// Personality bits.
const (
	ADDR_NO_RANDOMIZE  = 0x0040000
	ADDR_COMPAT_LAYOUT = 0x0200000
	READ_IMPLIES_EXEC  = 0x0400000
	ADDR_LIMIT_3GB     = 0x8000000
	ADDR_LIMIT_32BIT   = 0x0800000
	MMAP_PAGE_ZERO     = 0x0100000
	PERSONALITY_QUERY  = 0xffffffff
)

// Resources of setrlimit.
const (
	RLIMIT_CPU     = 0
	RLIMIT_FSIZE   = 1
	RLIMIT_DATA    = 2
	RLIMIT_STACK   = 3
	RLIMIT_CORE    = 4
	RLIMIT_RSS     = 5
	RLIMIT_NPROC   = 6
	RLIMIT_NOFILE  = 7
	RLIMIT_MEMLOCK = 8
	RLIMIT_AS      = 9
	RLIM_INFINITY  = ^uint64(0)
)

// Memory seals of memfd (fcntl F_GET_SEALS).
const (
	F_SEAL_SEAL         = 0x1
	F_SEAL_SHRINK       = 0x2
	F_SEAL_GROW         = 0x4
	F_SEAL_WRITE        = 0x8
	F_SEAL_FUTURE_WRITE = 0x10
	F_SEAL_EXEC         = 0x20
)

// Signals that accesses to memory raise, and their si_code (include/uapi/asm-generic/siginfo.h).
const (
	SIGILL      = 4
	SIGTRAP     = 5
	SIGABRT     = 6
	SIGBUS      = 7
	SIGFPE      = 8
	SIGKILL     = 9
	SIGSEGV     = 11
	SIGSYS      = 31
	SEGV_MAPERR = 1
	SEGV_ACCERR = 2
	BUS_ADRERR  = 2
	SI_KERNEL   = 0x80
)
