package ptrace

import "golang.org/x/sys/unix"

// detour is a call that a thread makes for us between the end of its own call and its next
// instruction. It is decided as any call of the program's is, and no signal handler runs meanwhile.
//
//	... syscall ──► exit stop ── SyscallExit, which asks for a detour
//	                    └─► syscall again ──► exit stop ── SyscallExit ──► the program goes on
type detour struct {
	regs    unix.PtraceRegs // what the thread gets back
	mask    uint64          // and its signal mask
	call    Syscall
	entered bool // the call's entry has been seen
}

// Detour has thread tid make call nr before it goes on. It may be called by Handler.SyscallExit only,
// about its own thread. The call goes through the filter; its end is reported to SyscallExit, and what
// that returns then is what the program sees of its own call.
func (t *Tracer) Detour(tid int, nr uint64, args [6]uint64) {
	t.mu.Lock()
	th := t.threads[tid]
	t.mu.Unlock()
	if th != nil {
		th.ahead = &detour{call: Syscall{Nr: nr, Args: args, Mechanism: Stop}}
	}
}

// takeDetour begins what Detour has asked for, at the exit stop of a call that was made at ip.
func (t *Tracer) takeDetour(th *thread, ip uint64) {
	d := th.ahead
	th.ahead, th.detour = nil, d
	d.call.IP = ip
	if t.ok("PTRACE_GETREGS", th.tid, getRegs(th.tid, &d.regs)) && t.blockSignals(th, &d.mask) {
		t.enterDetour(th)
	}
}

// blockSignals keeps handlers from running while a thread makes a call for us, and returns its mask.
func (t *Tracer) blockSignals(th *thread, mask *uint64) bool {
	all := ^uint64(0)
	return t.ok("PTRACE_GETSIGMASK", th.tid, signalMask(unix.PTRACE_GETSIGMASK, th.tid, mask)) &&
		t.ok("PTRACE_SETSIGMASK", th.tid, signalMask(unix.PTRACE_SETSIGMASK, th.tid, &all))
}

// sendBack makes a thread that stands behind the syscall instruction at ip go through it once more, with another
// call. regs is what it has.
func (t *Tracer) sendBack(th *thread, regs unix.PtraceRegs, ip, nr uint64, args [6]uint64) bool {
	const insnSize = 2 // of the syscall instruction
	regs.Rax, regs.Orig_rax, regs.Rip = nr, ^uint64(0), ip-insnSize
	setArgs(&regs, args)
	return t.ok("PTRACE_SETREGS", th.tid, setRegs(th.tid, &regs))
}

// enterDetour has the thread make the call, for the first time or again.
func (t *Tracer) enterDetour(th *thread) {
	d := th.detour
	if t.sendBack(th, d.regs, d.call.IP, d.call.Nr, d.call.Args) {
		d.entered, th.toExit = false, true
		t.resume(th, 0)
	}
}

// detourStop handles a system call stop of a thread on a detour.
func (t *Tracer) detourStop(th *thread) {
	d := th.detour
	if !d.entered {
		d.entered = true
		t.resume(th, 0)
		return
	}
	var ret uint64
	if !t.ok("read a result", th.tid, peekUser(th.tid, offRax, &ret)) {
		return
	}
	const erestartsys, erestartBlock = 512, 516
	if e := -int64(ret); e >= erestartsys && e <= erestartBlock {
		t.enterDetour(th) // a stop has interrupted it while it waited to be decided
		return
	}
	th.detour, th.toExit = nil, false
	if !t.ok("PTRACE_SETSIGMASK", th.tid, signalMask(unix.PTRACE_SETSIGMASK, th.tid, &d.mask)) {
		return
	}
	d.regs.Rax = uint64(t.handler.SyscallExit(th.tid, &d.call, int64(ret)))
	t.setState(th, running)
	if !t.ok("PTRACE_SETREGS", th.tid, setRegs(th.tid, &d.regs)) {
		return
	}
	if th.ahead != nil {
		t.takeDetour(th, d.call.IP)
		return
	}
	t.resume(th, 0)
}
