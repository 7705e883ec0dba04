package ptrace

import (
	"bytes"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// minRealTime is the first signal that glibc leaves to programs (SIGRTMIN).
const minRealTime = 34

// cookie marks the signals that Prove sends. It is unguessable only as far as a program cannot
// send a siginfo with our pid in it: the kernel does not let it claim SI_QUEUE from another.
func cookie(t *Tracer) uint64 { return uint64(uintptr(unsafe.Pointer(t))) }

// Prove makes Handler.Proved(tid) be called as soon as thread tid has left the call that it is
// in: it is made to stop, which it can only do outside of it.
//
// The tracer thread interrupts it. Another thread may not make ptrace requests, and sends it a
// signal instead, which is swallowed at its delivery.
func (t *Tracer) Prove(tid int) {
	t.mu.Lock()
	k := t.tasks[tid]
	if k == nil || k.prove {
		t.mu.Unlock()
		return
	}
	k.prove = true
	tgid := k.tgid
	t.mu.Unlock()
	if unix.Gettid() == t.tid {
		if err := request("PTRACE_INTERRUPT", unix.PTRACE_INTERRUPT, tid, 0, 0); err != nil && !gone(err) {
			t.fail(err)
		}
		return
	}
	if sig := unblocked(tid); sig != 0 {
		si := siginfo{signo: int32(sig), code: siCodeQueue, pid: int32(t.self), uid: uint32(os.Getuid()), value: cookie(t)}
		_, _, errno := unix.Syscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(tgid), uintptr(tid), uintptr(sig),
			uintptr(unsafe.Pointer(&si)), 0, 0)
		if errno == 0 || errno == unix.ESRCH {
			return
		}
	}
	// Every real-time signal is blocked, or the queue is full: SIGSTOP is neither.
	if err := unix.Tgkill(tgid, tid, unix.SIGSTOP); err != nil && err != unix.ESRCH {
		t.fail(&Error{Op: "tgkill", TID: tid, Err: err})
	}
}

// unblocked returns a real-time signal that the thread does not block, or zero.
func unblocked(tid int) unix.Signal {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, ok := bytes.Cut(b, []byte("\nSigBlk:\t"))
	if !ok || len(rest) < 16 {
		return 0
	}
	mask, err := strconv.ParseUint(string(rest[:16]), 16, 64)
	if err != nil {
		return 0
	}
	for sig := 64; sig >= minRealTime; sig-- {
		if mask>>(sig-1)&1 == 0 {
			return unix.Signal(sig)
		}
	}
	return 0
}
