package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// onThread runs f on a thread that ends afterwards, with all that f has changed of it.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		f()
	}()
	<-done
}

// probeSyncWakeUp reports whether a listener takes SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP. For that it
// makes one, of a filter that allows everything, on a thread of its own.
func probeSyncWakeUp() (ok bool) {
	onThread(func() {
		if unix.Gettid() == unix.Getpid() {
			// Go cannot end the main thread.
			onThread(func() { ok = syncWakeUp() })
			return
		}
		ok = syncWakeUp()
	})
	return ok
}

func syncWakeUp() bool {
	if unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != nil {
		return false
	}
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	prog := unix.SockFprog{Len: 1, Filter: &allow}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return false
	}
	defer unix.Close(int(fd))
	const (
		ioctlNotifSetFlags = 0x40082104
		syncWakeUpFlag     = 1
	)
	_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, ioctlNotifSetFlags, syncWakeUpFlag)
	return errno == 0
}

// probeChild makes a traced child, which stops before it has executed an instruction, tries on it
// what a sandbox needs, and kills it.
func probeChild() (p PtraceHost, personality bool) {
	if b, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil && len(b) > 0 {
		p.YamaScope = string(b[:1])
	}
	onThread(func() {
		personality = noRandomize()
		pid, err := syscall.ForkExec("/proc/self/exe", []string{"runsbx-probe"}, &syscall.ProcAttr{
			Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: unix.SIGKILL},
		})
		if err != nil {
			p.Failure = err.Error()
			return
		}
		defer func() {
			unix.Kill(pid, unix.SIGKILL)
			for {
				ws, err := waitChild(pid)
				if err != nil || ws.Exited() || ws.Signaled() {
					return
				}
			}
		}()
		if ws, err := waitChild(pid); err != nil || !ws.Stopped() || ws.StopSignal() != unix.SIGTRAP {
			p.Failure = fmt.Sprintf("it did not stop at its start (status %#x, %v)", uint32(ws), err)
			return
		}
		p.Trace = true
		p.probe(pid)
	})
	return p, personality
}

// noRandomize reports whether this thread may set ADDR_NO_RANDOMIZE, as a child inherits it.
func noRandomize() bool {
	const (
		query           = 0xffffffff
		addrNoRandomize = 0x0040000
	)
	old, _, errno := unix.Syscall(unix.SYS_PERSONALITY, query, 0, 0)
	if errno != 0 {
		return false
	}
	_, _, errno = unix.Syscall(unix.SYS_PERSONALITY, old|addrNoRandomize, 0, 0)
	unix.Syscall(unix.SYS_PERSONALITY, old, 0, 0)
	return errno == 0
}

// probe tries requests on the stopped child. An unknown request fails with EIO.
func (p *PtraceHost) probe(pid int) {
	var info [88]byte // struct ptrace_syscall_info
	n, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(pid),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	p.GetSyscallInfo = errno == 0 && n > 0
	const setSyscallInfo = 0x4212
	_, _, errno = unix.Syscall6(unix.SYS_PTRACE, setSyscallInfo, uintptr(pid), 0, uintptr(unsafe.Pointer(&info)), 0, 0)
	p.SetSyscallInfo = errno == unix.EINVAL // no size
	p.ReadMemory = readsMemory(pid)
	p.PidfdGetfd = getsFd(pid)

	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(pid), 0, uintptr(unix.SIGSTOP), 0, 0); errno != 0 {
		return
	}
	if ws, err := waitChild(pid); err != nil || !ws.Stopped() {
		return
	}
	_, _, errno = unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, unix.PTRACE_O_EXITKILL, 0, 0)
	p.Seize = errno == 0
}

func readsMemory(pid int) bool {
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(pid, &regs) != nil {
		return false
	}
	var word [8]byte
	n, err := unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &word[0], Len: 8}},
		[]unix.RemoteIovec{{Base: uintptr(regs.Rsp), Len: 8}}, 0)
	return err == nil && n == 8
}

// getsFd reports whether pidfd_getfd(2) is permitted: there need not be a descriptor to get.
func getsFd(pid int) bool {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, 0, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err == nil || err == unix.EBADF
}

// waitChild waits for the child, also where this process ignores SIGCHLD or waits for others.
func waitChild(pid int) (unix.WaitStatus, error) {
	for {
		var ws unix.WaitStatus
		_, err := unix.Wait4(pid, &ws, unix.WALL|unix.WUNTRACED, nil)
		if err != unix.EINTR {
			return ws, err
		}
	}
}
