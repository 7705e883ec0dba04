package sandbox

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// A call is stopped in the cheapest way that its decision allows:
//
//	notified  its own arguments say all that it does, and the kernel's answer is certain: also that of an mmap
//	          of anonymous memory, since the kernel chooses the address that the model chooses
//	stopped   the kernel chooses an address, or its answer depends on what only it knows
//	refused   it would change the address space behind our back
//
// Everything else runs untouched. Of the calls that concern memory, these were looked at and left
// alone, since they change neither VMAs nor accounts:
//
//	mincore, membarrier, process_mrelease
//	process_madvise                      with advice about pages
//	process_vm_readv, process_vm_writev  contents, not mappings (and refused when confined)
//	set_mempolicy, migrate_pages         where pages lie
//	shmget, shmctl                       an attached segment outlives its removal
//	memfd_create, pkey_alloc, pkey_free  show in VMAs only through calls that are stopped
//
// Where memory is counted, shmget and memfd_create count as well (filter_files.go).

// notified calls are decided at a seccomp notification.
var notified = [...]uint64{
	linux.SYS_MUNMAP, linux.SYS_MPROTECT, linux.SYS_BRK,
	linux.SYS_MLOCK, linux.SYS_MLOCK2, linux.SYS_MUNLOCK, linux.SYS_MLOCKALL, linux.SYS_MUNLOCKALL,
	linux.SYS_MSYNC, linux.SYS_MSEAL,
}

// notifiedByArgument calls are notified for some values of an argument only.
var notifiedByArgument = [...]uint64{linux.SYS_MMAP, linux.SYS_MADVISE, linux.SYS_PERSONALITY, linux.SYS_PRCTL}

// neverInterrupted returns the notified calls, none of which a signal interrupts natively.
func neverInterrupted() []uint64 {
	return slices.Concat(notified[:], notifiedByArgument[:], fileCalls[:])
}

// stopped calls are decided at a ptrace stop, and their outcome is observed.
var stopped = [...]uint64{
	linux.SYS_MREMAP, linux.SYS_PKEY_MPROTECT, linux.SYS_REMAP_FILE_PAGES,
	linux.SYS_SHMAT, linux.SYS_SHMDT, linux.SYS_MAP_SHADOW_STACK, linux.SYS_IO_SETUP, linux.SYS_IO_DESTROY,
	linux.SYS_MBIND, linux.SYS_SET_MEMPOLICY_HOME_NODE,
	linux.SYS_SETRLIMIT, linux.SYS_PRLIMIT64,
}

// vmaAdvice is the advice of madvise that changes VMAs; other advice only concerns pages.
var vmaAdvice = [...]uint64{
	linux.MADV_NORMAL, linux.MADV_RANDOM, linux.MADV_SEQUENTIAL,
	linux.MADV_DONTFORK, linux.MADV_DOFORK, linux.MADV_MERGEABLE, linux.MADV_UNMERGEABLE,
	linux.MADV_HUGEPAGE, linux.MADV_NOHUGEPAGE, linux.MADV_DONTDUMP, linux.MADV_DODUMP,
	linux.MADV_WIPEONFORK, linux.MADV_KEEPONFORK,
}

// refused calls and the errno that says so. Programs take ENOSYS for an older kernel and fall
// back: io_uring makes calls that no filter sees; userfaultfd changes VMAs through ioctl.
var refused = [...]struct {
	nr    uint64
	errno linux.Errno
}{
	{linux.SYS_IO_URING_SETUP, linux.ENOSYS},
	{linux.SYS_IO_URING_ENTER, linux.ENOSYS},
	{linux.SYS_IO_URING_REGISTER, linux.ENOSYS},
	{linux.SYS_USERFAULTFD, linux.ENOSYS},
}

// userfaultfdIOCNew is the ioctl by which /dev/userfaultfd makes a userfaultfd.
const userfaultfdIOCNew = 0xaa00

// filterFor returns the seccomp filter that the policy needs.
func filterFor(p *policy.Policy) seccomp.Filter {
	f := seccomp.Filter{Default: seccomp.Allow}
	add := func(nr uint64, act seccomp.Act, errno linux.Errno, conds ...seccomp.Cond) {
		f.Rules = append(f.Rules, seccomp.Rule{Nr: nr, Act: act, Errno: uint16(errno), Conds: conds})
	}
	// arg32 compares an int argument, whose upper half the kernel ignores.
	arg32 := func(n uint, v uint64) seccomp.Cond {
		return seccomp.Cond{Arg: n, Op: seccomp.MaskedEqual, Mask: 0xffffffff, Value: v}
	}
	for _, nr := range notified {
		add(nr, seccomp.Notify, 0)
	}
	for _, nr := range stopped {
		add(nr, seccomp.Trace, 0)
	}
	if certainMMaps(p) {
		f.Rules = append(f.Rules, mmapRules()...)
	} else {
		add(linux.SYS_MMAP, seccomp.Trace, 0)
	}
	if !p.Unconfined {
		for _, nr := range fileCalls {
			add(nr, seccomp.Notify, 0)
		}
	}
	for _, r := range refused {
		add(r.nr, seccomp.Errno, r.errno)
	}
	for _, advice := range vmaAdvice {
		add(linux.SYS_MADVISE, seccomp.Notify, 0, arg32(2, advice))
		// Since Linux 6.13 a process may give itself any advice in this way, too.
		add(linux.SYS_PROCESS_MADVISE, seccomp.Trace, 0, arg32(3, advice))
	}
	add(linux.SYS_PERSONALITY, seccomp.Notify, 0)
	add(linux.SYS_PRCTL, seccomp.Notify, 0, arg32(0, linux.PR_SET_MDWE))
	add(linux.SYS_PRCTL, seccomp.Trace, 0, arg32(0, linux.PR_SET_VMA))
	add(linux.SYS_PRCTL, seccomp.Trace, 0, arg32(0, linux.PR_SET_MEMORY_MERGE))
	// PR_SET_MM moves the heap and the stack's records; natively it needs CAP_SYS_RESOURCE.
	add(linux.SYS_PRCTL, seccomp.Errno, linux.EPERM, arg32(0, linux.PR_SET_MM))
	for op := uint64(linux.ARCH_MAP_VDSO_X32); op <= linux.ARCH_MAP_VDSO_64; op++ {
		add(linux.SYS_ARCH_PRCTL, seccomp.Trace, 0, arg32(0, op))
	}
	f.Rules = append(f.Rules, processorRules()...)
	if countsMemory(p) {
		add(linux.SYS_SHMGET, seccomp.Trace, 0) // a segment is charged from its making
		// RLIMIT_STACK is lowered at times, of which the program is told nothing.
		add(linux.SYS_GETRLIMIT, seccomp.Trace, 0, arg32(0, unix.RLIMIT_STACK))
		add(linux.SYS_SYSINFO, seccomp.Trace, 0) // programs size themselves by what it tells
		f.Rules = append(f.Rules, fileRules()...)
	} else {
		// A segment of huge pages is told from others by nothing but the flag that it was made with.
		add(linux.SYS_SHMGET, seccomp.Trace, 0, seccomp.Cond{Arg: 2, Op: seccomp.MaskedEqual, Mask: linux.SHM_HUGETLB, Value: linux.SHM_HUGETLB})
	}
	add(linux.SYS_IOCTL, seccomp.Errno, linux.EPERM, arg32(1, userfaultfdIOCNew))
	// A wait that does not block stops, so that it sees every child that has ended: see
	// ptrace's reapBefore.
	noHang := func(n uint) seccomp.Cond {
		return seccomp.Cond{Arg: n, Op: seccomp.MaskedEqual, Mask: unix.WNOHANG, Value: unix.WNOHANG}
	}
	add(linux.SYS_WAIT4, seccomp.Trace, 0, noHang(2))
	add(linux.SYS_WAITID, seccomp.Trace, 0, noHang(3))
	// A child that is not traced would run without its supervisor, and clone3's flags are in memory,
	// where another thread could change them after the check: they are made plain clones.
	add(linux.SYS_CLONE3, seccomp.Trace, 0)
	if countsClones(p) {
		add(linux.SYS_CLONE, seccomp.Trace, 0)
		add(linux.SYS_FORK, seccomp.Trace, 0)
		add(linux.SYS_VFORK, seccomp.Trace, 0)
	} else {
		add(linux.SYS_CLONE, seccomp.Trace, 0,
			seccomp.Cond{Arg: 0, Op: seccomp.MaskedEqual, Mask: linux.CLONE_UNTRACED, Value: linux.CLONE_UNTRACED})
	}
	if p.WX == policy.WXDeny {
		// A debugger writes what is not writable (FOLL_FORCE).
		add(linux.SYS_PTRACE, seccomp.Errno, linux.EPERM)
	}
	if p.Verify != policy.VerifyOff || countsMemory(p) || p.WX == policy.WXDeny {
		// The old address space is compared before exec throws it away, and RLIMIT_STACK, which may be
		// lowered, decides how it lays out the new one.
		add(linux.SYS_EXECVE, seccomp.Trace, 0)
		add(linux.SYS_EXECVEAT, seccomp.Trace, 0)
	}
	return f
}

// processorRules refuse what some processors can do with an address space that the model knows nothing of, with the
// errno of a processor that cannot: tagged addresses (LAM), of which the kernel passes over bits that the model
// goes by; and user shadow stacks, which it maps on its own.
func processorRules() (rules []seccomp.Rule) {
	for _, x := range []struct {
		ask, enable uint64
		errno       linux.Errno
	}{
		{linux.ARCH_GET_UNTAG_MASK, linux.ARCH_ENABLE_TAGGED_ADDR, linux.ENODEV},
		{linux.ARCH_SHSTK_STATUS, linux.ARCH_SHSTK_ENABLE, linux.EOPNOTSUPP},
	} {
		var answer uint64
		if _, _, e := unix.RawSyscall(unix.SYS_ARCH_PRCTL, uintptr(x.ask), uintptr(unsafe.Pointer(&answer)), 0); e == unix.EINVAL {
			x.errno = linux.EINVAL // the kernel was built without
		}
		rules = append(rules, seccomp.Rule{Nr: linux.SYS_ARCH_PRCTL, Act: seccomp.Errno, Errno: uint16(x.errno),
			Conds: []seccomp.Cond{{Op: seccomp.MaskedEqual, Mask: 0xffffffff, Value: x.enable}}})
	}
	return rules
}

// certainMMaps reports whether there are mmaps whose outcome the model knows before the kernel does: the
// kernel chooses the address that the model chooses, and the host does not count memory on its own.
func certainMMaps(p *policy.Policy) bool {
	mode, err := sysctl("vm/overcommit_memory")
	return err == nil && limits.OvercommitMode(mode) != limits.Never &&
		p.Overcommit != "never" && p.Layout == policy.LayoutDefault && p.ASLR != policy.ASLRSeed
}

// mmapRules returns the rules for mmap: one of private anonymous memory, of a size that no machine's heuristic
// refuses, is notified, the others stop.
func mmapRules() (rules []seccomp.Rule) {
	const (
		flags = 3 // arguments
		size  = 1

		small = 64 << 20
		mask  = linux.MAP_TYPE | linux.MAP_ANONYMOUS | linux.MAP_GROWSDOWN | linux.MAP_LOCKED | linux.MAP_HUGETLB
		plain = linux.MAP_PRIVATE | linux.MAP_ANONYMOUS
	)
	is := seccomp.Cond{Arg: flags, Op: seccomp.MaskedEqual, Mask: mask, Value: plain}
	add := func(act seccomp.Act, conds ...seccomp.Cond) {
		rules = append(rules, seccomp.Rule{Nr: linux.SYS_MMAP, Act: act, Conds: conds})
	}
	add(seccomp.Notify, is, seccomp.Cond{Arg: size, Op: seccomp.LessEqual, Value: small})
	add(seccomp.Trace, is, seccomp.Cond{Arg: size, Op: seccomp.Greater, Value: small})
	// What differs from it in a bit.
	for bit := uint64(1); bit != 0; bit <<= 1 {
		if mask&bit != 0 {
			add(seccomp.Trace, seccomp.Cond{Arg: flags, Op: seccomp.MaskedEqual, Mask: bit, Value: ^uint64(plain) & bit})
		}
	}
	return rules
}

// countsMemory reports whether there is a ledger (see ledgerFor).
func countsMemory(p *policy.Policy) bool {
	_, limited := p.Limits[policy.LimitCommit]
	return limited || p.Overcommit == "never"
}

// countsClones reports whether every clone has to be decided.
func countsClones(p *policy.Policy) bool {
	_, _, limited := p.Limit(policy.LimitProcs)
	return limited || countsMemory(p) || p.WX == policy.WXDeny
}
