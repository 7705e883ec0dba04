package ptrace

import (
	"encoding/binary"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// The kicker is how another thread interrupts the tracer thread's wait4: a tracee of ours, no
// part of the tree, that does nothing but wait for signals. A signal makes it stop, and wait4
// returns.
//
// No wake-up is lost. A request is queued before the signal is sent, and the queue is drained
// after the kicker's stop was received: the signal is pending, or the stop is, or the stop was
// received after the request was queued. Two signals may merge; then the one stop comes after
// both requests. If somebody kills the kicker, wait4 returns as well, and there is a new one
// before the queue is drained.
//
// (wait4 cannot be interrupted otherwise: Go's signal handlers have SA_RESTART, and changing that
// would reach into the embedding program; signals to a thread of the tree do not get through
// while it is in a stop, or in vfork. Polling wakes up for nothing.)
//
// It is made when it is first wanted: most programs never park a thread. It is our own program's
// image, since that can surely be executed, with a loop written over its first instructions.

// pauseLoop is: mov $34, %eax (pause); syscall; jmp to the start.
var pauseLoop = [16]byte{0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc}

// noKicker is for tests of what is done without one.
var noKicker bool

// startKicker makes the kicker, unless there is one, and reports whether there is one now. It
// runs on the tracer thread.
func (t *Tracer) startKicker() bool {
	if t.kicker != 0 { // only the tracer thread changes it
		return true
	}
	if noKicker {
		return false
	}
	pid, err := forkKicker()
	if err != nil {
		return false // no more processes may be made, or no more memory
	}
	t.mu.Lock()
	t.kicker = pid
	t.mu.Unlock()
	return true
}

func forkKicker() (pid int, err error) {
	// Its process group is its own, so that a terminal's signals do not reach it.
	attr := &syscall.SysProcAttr{Ptrace: true, Pdeathsig: unix.SIGKILL, Setpgid: true}
	pid, err = syscall.ForkExec("/proc/self/exe", []string{"runsbx-kicker"}, &syscall.ProcAttr{Dir: "/", Env: []string{}, Sys: attr})
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			bury(pid)
		}
	}()
	var ws unix.WaitStatus
	if _, errno := wait4(pid, &ws, 0); errno != 0 || !ws.Stopped() {
		return 0, os.ErrProcessDone
	}
	var regs unix.PtraceRegs
	if errno := getRegs(pid, &regs); errno != 0 {
		return 0, errno
	}
	for i := 0; i < len(pauseLoop); i += 8 {
		word := binary.NativeEndian.Uint64(pauseLoop[i:])
		if errno := request(unix.PTRACE_POKETEXT, pid, uintptr(regs.Rip)+uintptr(i), uintptr(word)); errno != 0 {
			return 0, errno
		}
	}
	if errno := request(unix.PTRACE_SETOPTIONS, pid, 0, unix.PTRACE_O_EXITKILL); errno != 0 {
		return 0, errno
	}
	if errno := request(unix.PTRACE_CONT, pid, 0, 0); errno != 0 {
		return 0, errno
	}
	return pid, nil
}

// kick interrupts the tracer thread's wait4. mu is held, and the request is queued.
func (t *Tracer) kick() {
	if t.kicker != 0 {
		unix.Kill(t.kicker, unix.SIGUSR1)
	}
}

// kicked handles an event of the kicker. The loop drains the queue next.
func (t *Tracer) kicked(ws unix.WaitStatus) {
	if ws.Stopped() {
		request(unix.PTRACE_CONT, t.kicker, 0, 0) // without the signal
		return
	}
	t.mu.Lock()
	t.kicker = 0
	t.mu.Unlock()
	if !t.startKicker() {
		// Threads may be parked that nobody could wake.
		t.fail(&Error{Op: "fork", Err: unix.EAGAIN})
	}
}

// endKicker ends the kicker when the tree has ended.
func (t *Tracer) endKicker() {
	t.mu.Lock()
	pid := t.kicker
	t.kicker = 0
	t.mu.Unlock()
	if pid != 0 {
		bury(pid)
	}
}

// bury kills a process that is no part of the tree and waits for its end.
func bury(pid int) {
	unix.Kill(pid, unix.SIGKILL)
	for {
		var ws unix.WaitStatus
		if _, errno := wait4(pid, &ws, 0); errno != 0 || !ws.Stopped() {
			return
		}
	}
}
