package sandbox

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/linux"
)

// Programs size themselves by the machine's memory, which sysinfo(2) tells them: a Java heap begins with
// a sixty-fourth of it. Under a limit on all memory that is what there is.

// sysinfoBudget changes the answer of a sysinfo, whose structure is at addr, to what the budget of the
// sandbox is.
func sysinfoBudget(k *kernel.Kernel, tid int, addr uint64) error {
	used, limit := k.Budget()
	if limit == 0 {
		return nil
	}
	var info unix.Sysinfo_t
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&info)), unsafe.Sizeof(info))
	if err := ptrace.ReadMemory(tid, addr, raw); err != nil {
		return err
	}
	shrinkSysinfo(&info, used, limit)
	return ptrace.WriteMemory(tid, addr, raw)
}

// shrinkSysinfo makes info tell of a machine that has limit bytes, of which used are in use.
func shrinkSysinfo(info *unix.Sysinfo_t, used, limit uint64) {
	unit := uint64(max(info.Unit, 1))
	if info.Totalram <= limit/unit {
		return // the machine has less than that
	}
	info.Totalram = limit / unit
	info.Freeram = min(info.Freeram, (limit-min(used, limit))/unit)
	info.Sharedram, info.Bufferram = 0, min(info.Bufferram, info.Totalram-info.Freeram)
	info.Totalswap, info.Freeswap = 0, 0
}

// asked changes what a call has told the program that asked for limits of ours: what the machine has
// (sysinfo), and what RLIMIT_STACK is, which is lowered at times (getrlimit, prlimit64).
func (s *supervisor) asked(t *kernel.Task, call *ptrace.Syscall, ret int64) {
	if ret != 0 {
		return
	}
	var err error
	switch call.Nr {
	case linux.SYS_SYSINFO:
		err = sysinfoBudget(s.k, t.TID, call.Args[0])
	case linux.SYS_GETRLIMIT:
		err = s.tellStack(t, call, call.Args[1])
	case linux.SYS_PRLIMIT64:
		err = s.tellStack(t, call, call.Args[3])
	}
	if err != nil {
		s.fail(linux.SyscallName(call.Nr), t.TID, err)
	}
}

// tellStack puts the program's own soft RLIMIT_STACK into the struct rlimit at addr.
func (s *supervisor) tellStack(t *kernel.Task, call *ptrace.Syscall, addr uint64) error {
	soft, lowered := s.k.OldStackLimit(t, &kernel.Call{Nr: call.Nr, Args: call.Args})
	if !lowered || addr == 0 {
		return nil
	}
	return ptrace.WriteMemory(t.TID, addr, binary.LittleEndian.AppendUint64(nil, soft))
}
