package kernel

import (
	"encoding/binary"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// Sizes of struct clone_args: of its first version, of the one that we know, and of the largest
// that the kernel takes.
const (
	cloneArgsSizeVer0 = 64
	cloneArgsSize     = 88
	MaxCloneArgsSize  = hostarch.PageSize
)

// Limits of clone3.
const (
	maxSignal       = 64
	maxPIDNamespace = 32
	taskSizeMax     = 0x7ffffffff000
)

// CheckCloneArgsSize returns the errno with which clone3 refuses a structure of that size, before
// it reads it.
func CheckCloneArgsSize(size uint64) linux.Errno {
	switch {
	case size > MaxCloneArgsSize:
		return linux.E2BIG
	case size < cloneArgsSizeVer0:
		return linux.EINVAL
	}
	return 0
}

// Clone3 turns a clone3 whose structure is raw into the arguments of the clone that does the same.
// clone3's own are in memory, where another thread can change them after they were looked at;
// clone's are in registers.
//
// Errnos: E2BIG, EINVAL (those that the kernel answers for such a structure), ENOSYS (clone cannot
// do it: set_tid, CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP, CLONE_NEWTIME, a pidfd and a thread id for
// the parent at once).
func Clone3(raw []byte) (args [6]uint64, errno linux.Errno) {
	for _, b := range raw[min(len(raw), cloneArgsSize):] {
		if b != 0 {
			return args, linux.E2BIG // a newer structure, and what it adds is used
		}
	}
	var a [cloneArgsSize / 8]uint64
	for i := range a {
		if len(raw) >= 8*(i+1) {
			a[i] = binary.LittleEndian.Uint64(raw[8*i:])
		}
	}
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls := a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
	setTID, setTIDSize, cgroup := a[8], a[9], a[10]

	const (
		legacy  = 0xffffffff
		known   = legacy | linux.CLONE_CLEAR_SIGHAND | linux.CLONE_INTO_CGROUP
		unusual = known &^ legacy
		maxInt  = 1<<31 - 1
	)
	switch {
	case setTIDSize > maxPIDNamespace, (setTID == 0) != (setTIDSize == 0), // copy_clone_args_from_user
		exitSignal > maxSignal,
		flags&linux.CLONE_INTO_CGROUP != 0 && (cgroup > maxInt || len(raw) < cloneArgsSize):
		return args, linux.EINVAL
	case flags&^known != 0, // clone3_args_valid
		flags&(linux.CLONE_DETACHED|linux.CSIGNAL&^linux.CLONE_NEWTIME) != 0,
		flags&linux.CLONE_SIGHAND != 0 && flags&linux.CLONE_CLEAR_SIGHAND != 0,
		flags&(linux.CLONE_THREAD|linux.CLONE_PARENT) != 0 && exitSignal != 0,
		(stack == 0) != (stackSize == 0),
		stack+stackSize < stack || stack+stackSize > taskSizeMax:
		return args, linux.EINVAL
	case setTID != 0, flags&unusual != 0, flags&linux.CLONE_NEWTIME != 0,
		flags&linux.CLONE_PIDFD != 0 && flags&linux.CLONE_PARENT_SETTID != 0:
		return args, linux.ENOSYS
	}
	if flags&linux.CLONE_PIDFD != 0 {
		parentTID = pidfd // clone has one argument for both
	}
	return [6]uint64{flags | exitSignal, stack + stackSize, parentTID, childTID, tls}, 0
}
