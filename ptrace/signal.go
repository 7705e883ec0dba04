package ptrace

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The kernel treats a traced process's signals differently in two ways, which are undone here. A
// signal that the process ignores reaches it nevertheless, for its tracer to see, and ends calls
// that give up for any signal. And the first process of a pid namespace, which no signal of its own
// namespace can kill, is not killed by its own faults either.

// signal handles a signal-delivery stop: the signal goes on with its siginfo as it is, unless it
// is ours.
func (t *Tracer) signal(th *thread, sig unix.Signal) {
	if sig == unix.SIGSTOP && t.isCookie(th) {
		if t.resumeCall(th) {
			t.resume(th, 0)
		}
		return
	}
	again, ok := t.report(th, sig)
	if !ok {
		return
	}
	if again {
		sig = 0
	}
	switch {
	case sig == 0:
		t.resume(th, 0)
	case t.killsInit(th, sig):
		t.leaveToDie(th, sig)
	case t.restart(th, sig):
		t.resume(th, sig)
	}
}

// report tells the Handler about a signal, and returns whether it is not to be delivered; ok is false
// when the thread has died.
func (t *Tracer) report(th *thread, sig unix.Signal) (again, ok bool) {
	var si siginfo
	if !t.ok("PTRACE_GETSIGINFO", th.tid, getSiginfo(th.tid, &si)) {
		return false, false
	}
	return t.handler.Signaled(th.tid, &Signal{
		Number: sig, Code: int(si.code), Sender: int(si.pid),
		Addr: uint64(uint32(si.pid)) | uint64(si.uid)<<32, // where a fault's si_addr is
	}), true
}

// Results of calls that a signal has interrupted, which only a tracer sees. What becomes of them is
// decided when the signal is delivered, or found to be ignored.
const (
	restartSys    = -512 // begin again; EINTR after a handler without SA_RESTART
	restartNoIntr = -513 // begin again
	restartNoHand = -514 // begin again; EINTR after a handler
)

// surrendering are the calls that answer EINTR for any signal (signal(7)), where others begin again
// when it turns out to be ignored. Those of sockets do with a timeout (SO_RCVTIMEO).
var surrendering = []uint64{
	unix.SYS_EPOLL_WAIT, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2,
	unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP, unix.SYS_RT_SIGTIMEDWAIT,
	unix.SYS_IO_GETEVENTS, unix.SYS_IO_PGETEVENTS,
	unix.SYS_READ, unix.SYS_READV, unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_RECVMMSG,
	unix.SYS_WRITE, unix.SYS_WRITEV, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG,
	unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_CONNECT,
}

// restart makes a call begin again that a signal has interrupted and natively would not have. It
// returns false when the thread has died.
//
// One is a call whose notification was interrupted: the kernel says ERESTARTSYS, which a handler
// without SA_RESTART turns into EINTR; ERESTARTNOINTR is what it says in calls that never fail so.
// The other is a call that has given up for a signal that the program ignores.
func (t *Tracer) restart(th *thread, sig unix.Signal) bool {
	var ret, nr uint64
	if !t.ok("read a result", th.tid, peekUser(th.tid, offRax, &ret)) {
		return false
	}
	if int64(ret) != restartSys && int64(ret) != -int64(unix.EINTR) {
		return true
	}
	if !t.ok("read a call's number", th.tid, peekUser(th.tid, offOrigRax, &nr)) {
		return false
	}
	again := int64(restartNoIntr)
	if int64(ret) == restartSys {
		if !slices.Contains(t.restarts, nr) || t.wasInterrupted(th) {
			return true
		}
	} else {
		if !slices.Contains(surrendering, nr) || !ignored(th, sig) {
			return true
		}
		again = restartNoHand // another signal, one with a handler, ends it rightly
	}
	return t.ok("restart a call", th.tid, pokeUser(th.tid, offRax, uint64(again)))
}

// wasInterrupted reports, once, whether the call's notification was answered by Interrupt.
func (t *Tracer) wasInterrupted(th *thread) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := th.interrupted
	th.interrupted = false
	return was
}

// endInterrupted says of a thread in a group stop that no call is to begin again. EINTR in calls
// that give up for any signal is then the stop's doing, and the signals that come next find no
// call. It returns false when the thread has died.
func (t *Tracer) endInterrupted(th *thread) bool {
	var ret uint64
	if !t.ok("read a result", th.tid, peekUser(th.tid, offRax, &ret)) {
		return false
	}
	return int64(ret) != -int64(unix.EINTR) || t.ok("end a call", th.tid, pokeUser(th.tid, offOrigRax, ^uint64(0)))
}

// ignored reports whether the kernel would not even have sent a signal, were the thread not traced.
func ignored(th *thread, sig unix.Signal) bool {
	s := readStatus(th.tid)
	switch {
	case s.set("SigCgt", sig):
		return false
	case s.set("SigIgn", sig):
		return true
	}
	switch sig {
	case unix.SIGCHLD, unix.SIGCONT, unix.SIGURG, unix.SIGWINCH:
		return true
	}
	return s.isInit() // and sig is not SIGKILL, which no tracer sees, or a fault's
}

// role says whether a thread is one of a pid namespace's first process, once that was asked for.
type role uint8

const (
	unknownRole role = iota
	ordinary
	initOfNamespace
)

// faults are the signals by which the kernel answers an instruction, with the number of bytes by
// which the instruction pointer is past that instruction then.
var faults = map[unix.Signal]uint64{
	unix.SIGSEGV: 0, unix.SIGBUS: 0, unix.SIGILL: 0, unix.SIGFPE: 0,
	unix.SIGTRAP: 1, // int3
	unix.SIGSYS:  2, // a call that a filter of the program's own answers so
}

// killsInit reports whether a signal is a fault that kills the first process of a pid namespace. The
// kernel makes such a process mortal for it, unless it is traced: then it drops the signal, and the
// instruction faults for ever.
func (t *Tracer) killsInit(th *thread, sig unix.Signal) bool {
	const siKernel = 0x80
	if _, fault := faults[sig]; !fault || th.role == ordinary {
		return false
	}
	s := readStatus(th.tid)
	if th.role == unknownRole {
		th.role = ordinary
		if s.isInit() {
			th.role = initOfNamespace
		}
	}
	if th.role != initOfNamespace || s.set("SigCgt", sig) {
		return false
	}
	var si siginfo
	if !t.ok("PTRACE_GETSIGINFO", th.tid, getSiginfo(th.tid, &si)) {
		return false // killed: so is what follows
	}
	return si.code > 0 && (sig != unix.SIGTRAP || si.code == siKernel)
}

// leaveToDie lets the thread meet its fault once more, untraced, by which it dies as it would have.
func (t *Tracer) leaveToDie(th *thread, sig unix.Signal) {
	if back := faults[sig]; back != 0 {
		var ip uint64
		if !t.ok("read an address", th.tid, peekUser(th.tid, offRip, &ip)) ||
			!t.ok("repeat an instruction", th.tid, pokeUser(th.tid, offOrigRax, ^uint64(0))) ||
			!t.ok("repeat an instruction", th.tid, pokeUser(th.tid, offRip, ip-back)) {
			return
		}
	}
	child := th.tid == th.tgid && parentOf(th.tid) == t.self
	if !t.ok("PTRACE_DETACH", th.tid, request(unix.PTRACE_DETACH, th.tid, 0, 0)) || child {
		return // its end is reported to us as any other's
	}
	t.gone(th.tid, th, unix.WaitStatus(sig))
}

// status is the text of /proc/TID/status.
type status string

// readStatus returns "" for a thread that has died.
func readStatus(tid int) status {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	return status(b)
}

func (s status) line(name string) string {
	_, rest, _ := strings.Cut(string(s), "\n"+name+":\t")
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

// bits returns a set of signals.
func (s status) bits(name string) uint64 {
	v, _ := strconv.ParseUint(s.line(name), 16, 64)
	return v
}

func (s status) set(name string, sig unix.Signal) bool { return s.bits(name)>>(sig-1)&1 != 0 }

// isInit reports whether the process is the first of its pid namespace.
func (s status) isInit() bool {
	ids := strings.Fields(s.line("NStgid"))
	return len(ids) > 0 && ids[len(ids)-1] == "1"
}

// signalled reports whether a signal waits that the thread does not block.
func signalled(tid int) bool {
	s := readStatus(tid)
	return s == "" || (s.bits("SigPnd")|s.bits("ShdPnd"))&^s.bits("SigBlk") != 0
}
