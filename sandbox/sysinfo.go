package sandbox

import (
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

// sysinfo follows a sysinfo to its end.
func (s *supervisor) sysinfo(tid int, call *ptrace.Syscall, ret int64) {
	if call.Nr != linux.SYS_SYSINFO || ret != 0 {
		return
	}
	if err := sysinfoBudget(s.k, tid, call.Args[0]); err != nil {
		s.fail("sysinfo", tid, err)
	}
}
