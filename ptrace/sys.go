package ptrace

import (
	"bytes"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests and constants that x/sys/unix does not have, or has only in wrappers that allocate.
const (
	ptraceSetSyscallInfo = 0x4212 // Linux 6.16
	siCodeQueue          = -1     // SI_QUEUE
	siCodeTkill          = -6     // SI_TKILL
	syscallStop          = unix.SIGTRAP | 0x80

	ioctlNotifRecv     = 0xc0502100
	ioctlNotifSend     = 0xc0182101
	ioctlNotifSetFlags = 0x40082104

	notifFlagContinue = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE
	notifSyncWakeUp   = 1 // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP

	filterFlagNewListener      = 1 << 3
	filterFlagWaitKillableRecv = 1 << 5
)

// syscallInfo is struct ptrace_syscall_info with the members of its entry and seccomp variants.
type syscallInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	ip   uint64
	sp   uint64
	nr   uint64 // the return value in the exit variant
	args [6]uint64
	_    uint64 // seccomp: ret_data
}

// notif is struct seccomp_notif.
type notif struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// notifResp is struct seccomp_notif_resp.
type notifResp struct {
	id    uint64
	val   int64
	error int32
	flags uint32
}

// siginfo is the part of siginfo_t that sent signals share.
type siginfo struct {
	signo int32
	errno int32
	code  int32
	_     int32
	pid   int32
	uid   uint32
	value uint64
	_     [96]byte
}

// request makes one ptrace(2) request. Blocking system calls go through unix.Syscall6 so that
// the Go scheduler can use the processor meanwhile.
func request(op string, req, tid int, addr, data uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(req), uintptr(tid), addr, data, 0, 0)
	if errno != 0 {
		return &Error{Op: op, TID: tid, Err: errno}
	}
	return nil
}

func resume(tid int, how int, sig unix.Signal) error {
	return request("resume", how, tid, 0, uintptr(sig))
}

func eventMsg(tid int) (uint64, error) {
	var msg uint64
	err := request("PTRACE_GETEVENTMSG", unix.PTRACE_GETEVENTMSG, tid, 0, uintptr(unsafe.Pointer(&msg)))
	return msg, err
}

func getSyscallInfo(tid int, info *syscallInfo) error {
	return request("PTRACE_GET_SYSCALL_INFO", unix.PTRACE_GET_SYSCALL_INFO, tid,
		unsafe.Sizeof(*info), uintptr(unsafe.Pointer(info)))
}

func getRegs(tid int, regs *unix.PtraceRegs) error {
	return request("PTRACE_GETREGS", unix.PTRACE_GETREGS, tid, 0, uintptr(unsafe.Pointer(regs)))
}

func setRegs(tid int, regs *unix.PtraceRegs) error {
	return request("PTRACE_SETREGS", unix.PTRACE_SETREGS, tid, 0, uintptr(unsafe.Pointer(regs)))
}

func getSiginfo(tid int, si *siginfo) error {
	return request("PTRACE_GETSIGINFO", unix.PTRACE_GETSIGINFO, tid, 0, uintptr(unsafe.Pointer(si)))
}

// wait4 waits for a child or tracee of the calling thread only, so that the children of the
// embedding program are left to it.
func wait4(pid int, status *unix.WaitStatus, options int) (int, error) {
	var ws int32
	for {
		n, _, errno := unix.Syscall6(unix.SYS_WAIT4, uintptr(pid), uintptr(unsafe.Pointer(&ws)),
			uintptr(options|unix.WALL|unix.WNOTHREAD), 0, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		*status = unix.WaitStatus(ws)
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	}
}

// parentOf returns the process id of a thread's parent, from /proc/PID/stat.
func parentOf(tid int) (int, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/stat")
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 2 {
		return 0, false
	}
	pid, err := strconv.Atoi(string(fields[1]))
	return pid, err == nil
}
