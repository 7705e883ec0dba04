package ptrace

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
)

// seccompStop has the Handler decide a call stopped by SECCOMP_RET_TRACE.
func (t *Tracer) seccompStop(th *thread) {
	var info syscallInfo
	if !t.ok("PTRACE_GET_SYSCALL_INFO", th.tid, getSyscallInfo(th.tid, &info)) {
		return
	}
	if info.op == unix.PTRACE_SYSCALL_INFO_NONE {
		return // killed: it is in its exit stop already, which wait4 reports next
	}
	if info.op != unix.PTRACE_SYSCALL_INFO_SECCOMP || info.arch != unix.AUDIT_ARCH_X86_64 {
		t.fail(&Error{Op: "SECCOMP stop", TID: th.tid, Err: fmt.Errorf("operation %d, architecture %#x", info.op, info.arch)})
		return
	}
	if th.ours(&info) {
		t.resume(th, 0)
		return
	}
	th.call = Syscall{Nr: info.nr, Args: info.args, IP: info.ip, SP: info.sp, Mechanism: Stop}
	if uint32(info.data) != seccomp.TraceData {
		// A filter of the program's own asks for a tracer, and the program has none.
		t.act(th, &Action{Kind: Return, Value: -int64(unix.ENOSYS)})
		return
	}
	if (info.nr == unix.SYS_WAIT4 || info.nr == unix.SYS_WAITID) && !t.reapBefore(th) {
		return
	}
	if info.nr == unix.SYS_MREMAP && t.interrupting(th) {
		t.repeat(th)
		return
	}
	t.setState(th, asking)
	t.decide(th)
}

// interrupting reports whether a stop of ours that th owes could come within the call that it is about to make,
// and forgets the stop. That call is repeated then, and finds nothing that interrupts it.
//
// Nearly all calls that are interrupted have done nothing yet, or return what they have. But an mremap of several
// VMAs gives up between two of them where their pages may be merged (unmerge_ksm_pages), and begins again
// without those that it has moved. That the stop at a call's entry takes the place of the other one, as it does
// in ptrace_stop, does not help: what remains is that the call believes that a signal waits.
func (t *Tracer) interrupting(th *thread) bool {
	nudged := th.nudged
	th.nudged = false
	t.mu.Lock()
	cookie := th.cookie
	t.mu.Unlock()
	return nudged || cookie && signalled(th.tid)
}

// reapBefore has the ends of threads reported that have ended by now, before th asks for the ends
// of its children. A tracee that has ended is its tracer's until that has reaped it, and wait4 does
// not see it; but its pidfd says at once that it has ended. Natively a WNOHANG wait that comes after
// that finds it. It returns false when th itself has ended.
//
// Only ends are taken: their number is bounded, since nothing is forked while nobody handles stops.
func (t *Tracer) reapBefore(th *thread) bool {
	tid := th.tid
	for {
		dead, errno := endedThread()
		if errno != 0 || dead == 0 {
			break // what is wrong with our own wait is the loop's to find out
		}
		var ws unix.WaitStatus
		if n, errno := wait4(dead, &ws, unix.WNOHANG); errno != 0 || n == 0 {
			break
		}
		t.event(dead, ws)
	}
	t.current = tid
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.threads[tid] == th
}

// setState changes the state and forgets an earlier Unpark.
func (t *Tracer) setState(th *thread, s state) {
	t.mu.Lock()
	th.state, th.again = s, false
	t.mu.Unlock()
}

// decide has the Handler decide the call of a thread in a SECCOMP stop, whose state is asking.
func (t *Tracer) decide(th *thread) {
	for {
		a := t.handler.SyscallEnter(th.tid, &th.call)
		if a.Kind != Park {
			if a.Kind == Finish || a.Kind == Rewrite {
				t.setState(th, observed)
			} else {
				t.setState(th, running)
			}
			t.act(th, &a)
			return
		}
		if !t.startKicker() {
			t.repeat(th)
			return
		}
		t.mu.Lock()
		if !th.again {
			th.state = parkedStop
			t.mu.Unlock()
			return
		}
		th.again = false
		t.mu.Unlock()
	}
}

// act carries out the Handler's answer to a call at a SECCOMP stop. Registers are set one by one:
// most answers need two or fewer.
func (t *Tracer) act(th *thread, a *Action) {
	switch a.Kind {
	case Continue:
	case Finish:
		th.toExit = true
	case Return:
		// A call whose number is -1 is skipped, and what is in rax is its result.
		if !t.ok("skip a call", th.tid, pokeUser(th.tid, offOrigRax, ^uint64(0))) ||
			!t.ok("skip a call", th.tid, pokeUser(th.tid, offRax, uint64(a.Value))) {
			return
		}
	case Rewrite:
		for i, v := range a.Args {
			if v != th.call.Args[i] && !t.ok("rewrite a call", th.tid, pokeUser(th.tid, offArgs[i], v)) {
				return
			}
		}
		th.toExit, th.rewritten, th.args = true, true, a.Args
		if th.renamed = a.Nr != 0 && a.Nr != th.call.Nr; th.renamed &&
			!t.ok("rewrite a call", th.tid, pokeUser(th.tid, offOrigRax, a.Nr)) {
			return
		}
	case Confine:
		t.confineGroup(th, a.Filter, true)
		return
	case Kill:
		t.Kill()
		return
	default:
		t.fail(&Error{Op: "Handler.SyscallEnter", TID: th.tid, Err: fmt.Errorf("unknown action %d", a.Kind)})
		return
	}
	t.resume(th, 0)
}

// exitStop reports the end of a Finish or Rewrite call.
func (t *Tracer) exitStop(th *thread) {
	if th.confining != nil {
		t.confineStop(th)
		return
	}
	if th.detour != nil {
		t.detourStop(th)
		return
	}
	if !th.toExit {
		t.resume(th, 0)
		return
	}
	th.toExit = false
	var ret uint64
	if !t.ok("read a result", th.tid, peekUser(th.tid, offRax, &ret)) {
		return
	}
	if th.rewritten {
		th.rewritten = false
		if !t.restoreArgs(th) {
			return
		}
		// Where a signal interrupts the call, the kernel makes it again by this number.
		if th.renamed && !t.ok("restore registers", th.tid, pokeUser(th.tid, offOrigRax, th.call.Nr)) {
			return
		}
	}
	ip := th.call.IP
	seen := t.handler.SyscallExit(th.tid, &th.call, int64(ret))
	t.setState(th, running) // the thread's next call may be written to th.call by notifications
	if seen != int64(ret) && !t.ok("set a result", th.tid, pokeUser(th.tid, offRax, uint64(seen))) {
		return
	}
	if th.ahead != nil {
		t.takeDetour(th, ip)
		return
	}
	if filter := th.wanted; filter != nil {
		th.wanted = nil
		t.confineGroup(th, filter, false)
		return
	}
	t.resume(th, 0)
}

// restoreArgs gives the program the argument registers back that it had before a rewrite: the
// kernel preserves them over a call, and compilers rely on that.
func (t *Tracer) restoreArgs(th *thread) bool {
	for i, v := range th.call.Args {
		if v != th.args[i] && !t.ok("restore registers", th.tid, pokeUser(th.tid, offArgs[i], v)) {
			return false
		}
	}
	return true
}

// repeat lets a thread that should be parked, but cannot be, make its call again.
func (t *Tracer) repeat(th *thread) {
	const insnSize = 2 // of the syscall instruction
	t.setState(th, running)
	if t.ok("repeat a call", th.tid, pokeUser(th.tid, offOrigRax, ^uint64(0))) &&
		t.ok("repeat a call", th.tid, pokeUser(th.tid, offRax, th.call.Nr)) &&
		t.ok("repeat a call", th.tid, pokeUser(th.tid, offRip, th.call.IP-insnSize)) {
		t.resume(th, 0)
	}
}
