package ptrace

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests and constants that x/sys/unix does not have, or has only in wrappers that allocate.
const (
	syscallStop = unix.SIGTRAP | 0x80 // with PTRACE_O_TRACESYSGOOD

	siTkill = -6 // SI_TKILL
	siUser  = 0  // SI_USER

	ioctlNotifRecv     = 0xc0502100
	ioctlNotifSend     = 0xc0182101
	ioctlNotifIDValid  = 0x40082102
	ioctlNotifSetFlags = 0x40082104

	notifContinue   = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE
	notifSyncWakeUp = 1 // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP

	userCS = 0x33 // the code segment of 64-bit programs
)

// Offsets in struct user, for PTRACE_PEEKUSER and PTRACE_POKEUSER.
const (
	offRax     = 80
	offOrigRax = 120
	offRip     = 128
)

// offArgs are the offsets of rdi, rsi, rdx, r10, r8, r9.
var offArgs = [6]uintptr{112, 104, 96, 56, 72, 64}

// syscallInfo is struct ptrace_syscall_info in its entry and seccomp variants.
type syscallInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	ip   uint64
	sp   uint64
	nr   uint64
	args [6]uint64
	data uint64 // seccomp: ret_data, SECCOMP_RET_DATA of the filter that asked
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
	_     [104]byte
}

// request makes one ptrace(2) request. It returns an Errno, not an error: errors are made where
// they are wanted, so that the ordinary ESRCH of a dying thread costs nothing.
func request(req, tid int, addr, data uintptr) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(req), uintptr(tid), addr, data, 0, 0)
	return errno
}

// eventMsg returns the message of an event stop. A thread that was killed in that stop can be in
// the exit stop already, whose message is another: then it fails with ESRCH, as other requests do
// for threads that were killed.
func eventMsg(tid, event int) (int, unix.Errno) {
	var msg uint64
	var si siginfo
	errno := request(unix.PTRACE_GETEVENTMSG, tid, 0, uintptr(unsafe.Pointer(&msg)))
	if errno == 0 {
		errno = getSiginfo(tid, &si)
	}
	if errno == 0 && si.code != int32(event<<8|int(unix.SIGTRAP)) {
		errno = unix.ESRCH
	}
	return int(msg), errno
}

func getSyscallInfo(tid int, info *syscallInfo) unix.Errno {
	return request(unix.PTRACE_GET_SYSCALL_INFO, tid, unsafe.Sizeof(*info), uintptr(unsafe.Pointer(info)))
}

func getRegs(tid int, regs *unix.PtraceRegs) unix.Errno {
	return request(unix.PTRACE_GETREGS, tid, 0, uintptr(unsafe.Pointer(regs)))
}

func setRegs(tid int, regs *unix.PtraceRegs) unix.Errno {
	return request(unix.PTRACE_SETREGS, tid, 0, uintptr(unsafe.Pointer(regs)))
}

func getSiginfo(tid int, si *siginfo) unix.Errno {
	return request(unix.PTRACE_GETSIGINFO, tid, 0, uintptr(unsafe.Pointer(si)))
}

// peekUser reads one register. (The system call, unlike libc's wrapper, stores it at data.)
func peekUser(tid int, off uintptr, value *uint64) unix.Errno {
	return request(unix.PTRACE_PEEKUSR, tid, off, uintptr(unsafe.Pointer(value)))
}

func pokeUser(tid int, off uintptr, value uint64) unix.Errno {
	return request(unix.PTRACE_POKEUSR, tid, off, uintptr(value))
}

// ioctl goes through the scheduler's entry for blocking calls: NOTIF_RECV waits.
func ioctl(fd int, req uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), req, uintptr(arg))
	return errno
}

// wait4 waits for a child or tracee of the calling thread only (__WNOTHREAD), so that the
// children of the embedding program, and those of other Tracers, are left to them.
func wait4(pid int, ws *unix.WaitStatus, options int) (int, unix.Errno) {
	var status int32
	for {
		n, _, errno := unix.Syscall6(unix.SYS_WAIT4, uintptr(pid), uintptr(unsafe.Pointer(&status)),
			uintptr(options|unix.WALL|unix.WNOTHREAD), 0, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		*ws = unix.WaitStatus(status)
		return int(n), errno
	}
}

// endedThread returns a child or tracee of the calling thread that has ended and can be reaped, 0
// when there is none. It leaves it as it is.
func endedThread() (int, unix.Errno) {
	var si siginfo
	for {
		_, _, errno := unix.Syscall6(unix.SYS_WAITID, unix.P_ALL, 0, uintptr(unsafe.Pointer(&si)),
			unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL|unix.WNOTHREAD, 0, 0)
		if errno != unix.EINTR {
			return int(si.pid), errno
		}
	}
}
