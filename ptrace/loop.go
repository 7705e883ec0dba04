package ptrace

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// loop follows the tree to its end. It runs on the tracer thread.
func (t *Tracer) loop() {
	for !t.run() {
	}
	t.endNotifications()
}

// run handles events until nothing is left to wait for. It returns false after a panic, which
// has become a failure; then the events that are left are those of the tree's burial.
func (t *Tracer) run() (done bool) {
	defer t.guard("handling an event", &t.current)
	for {
		t.drain()
		if len(t.threads) == 0 { // only the tracer thread changes it
			t.endKicker()
			t.endUnborn()
		}
		var ws unix.WaitStatus
		tid, errno := wait4(-1, &ws, 0)
		if errno == unix.ECHILD && len(t.threads) == 0 {
			return true
		}
		if errno != 0 {
			// Our tracees' ends were reported to somebody else: a wait4 of another thread
			// that also takes what is not its own can do that.
			t.fail(&Error{Op: "wait4", Err: fmt.Errorf("%w, with %d threads not accounted for", errno, len(t.threads))})
			return true
		}
		t.event(tid, ws)
	}
}

// event handles one change of state of one thread.
func (t *Tracer) event(tid int, ws unix.WaitStatus) {
	t.current = tid
	t.mu.Lock()
	if tid == t.kicker {
		t.mu.Unlock()
		t.kicked(ws)
		return
	}
	th := t.threads[tid]
	failed := t.err != nil
	proved := th != nil && th.proving && ws.Stopped() && proves(ws)
	if proved {
		th.proving = false
	}
	if th != nil && th.state == observed && ws.Stopped() && ws.StopSignal() == syscallStop {
		th.state = running
	}
	t.mu.Unlock()
	switch {
	case failed:
		t.bury(tid, th, ws)
	case ws.Exited() || ws.Signaled():
		t.exited(tid, th, ws)
	case !ws.Stopped():
		t.fail(&Error{Op: "wait4", TID: tid, Err: fmt.Errorf("wait status %#x", uint32(ws))})
	case th == nil:
		t.stranger(tid, ws)
	default:
		if proved {
			t.handler.Proved(tid)
		}
		t.stopped(th, ws)
	}
}

// proves reports whether a stop shows that the thread has left the call before it. A fork, vfork
// or clone event is a stop within a call. Any other stop but SECCOMP's is outside of calls or at
// the end of one, and that one is at the entry of the next.
func proves(ws unix.WaitStatus) bool {
	switch int(ws) >> 16 {
	case unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK, unix.PTRACE_EVENT_CLONE, unix.PTRACE_EVENT_VFORK_DONE:
		return false
	}
	return true
}

// bury handles an event of a tree that is being killed after a failure.
func (t *Tracer) bury(tid int, th *thread, ws unix.WaitStatus) {
	if ws.Exited() || ws.Signaled() {
		t.mu.Lock()
		delete(t.threads, tid)
		if tid == t.pid {
			t.status = ws
		}
		t.mu.Unlock()
		delete(t.unborn, tid)
		delete(t.ghosts, tid)
		if tid == t.pid {
			t.first <- ws
		}
		return
	}
	if int(ws)>>16 == unix.PTRACE_EVENT_EXEC {
		// The leader's id lives on, the former one and the others do not.
		if former, errno := eventMsg(tid, unix.PTRACE_EVENT_EXEC); errno == 0 && former != tid {
			t.mu.Lock()
			delete(t.threads, former)
			t.mu.Unlock()
		}
	}
	if th == nil {
		t.unborn[tid] = &thread{tid: tid, stop: ws}
	}
	// SIGKILL reaches the whole group, whichever of its threads it is sent to.
	unix.Kill(tid, unix.SIGKILL)
	request(unix.PTRACE_CONT, tid, 0, 0)
}

// stopped handles a ptrace stop and resumes the thread, unless it is to stay.
func (t *Tracer) stopped(th *thread, ws unix.WaitStatus) {
	sig := ws.StopSignal()
	if th.first {
		t.firstStop(th)
	}
	switch event := int(ws) >> 16; event {
	case 0:
		if sig == syscallStop {
			t.exitStop(th)
		} else {
			th.listening = false
			t.signal(th, sig)
		}
	case unix.PTRACE_EVENT_SECCOMP:
		t.seccompStop(th)
	case unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK, unix.PTRACE_EVENT_CLONE:
		t.forked(th, event)
	case unix.PTRACE_EVENT_EXEC:
		t.execed(th)
	case unix.PTRACE_EVENT_EXIT:
		t.mu.Lock()
		t.awaitIdle(th)
		th.state = running // whatever call it was parked in
		t.mu.Unlock()
		t.handler.Exiting(th.tid)
		t.resume(th, 0)
	case unix.PTRACE_EVENT_STOP:
		t.eventStop(th, sig)
	case unix.PTRACE_EVENT_VFORK_DONE:
		t.resume(th, 0)
	default:
		t.fail(&Error{Op: "wait4", TID: th.tid, Err: fmt.Errorf("unknown event %d", event)})
	}
}

// eventStop handles a stop that no signal, call or event makes: a group stop, its end, our own
// PTRACE_INTERRUPT, or a new thread's first.
func (t *Tracer) eventStop(th *thread, sig unix.Signal) {
	switch sig {
	case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
	default:
		th.listening = false
		nudged := th.nudged
		th.nudged = false
		if !nudged || t.resumeCall(th) {
			t.resume(th, 0)
		}
		return
	}
	if th.tid == t.pid && !th.listening {
		select {
		case t.stops <- sig:
		default:
		}
	}
	if !t.endInterrupted(th) {
		return
	}
	// The thread stays stopped, as its group does, and SIGCONT can wake it. No other signal is delivered to it
	// meanwhile, so that Prove needs the kicker, or, if it was called before there was one, needs nothing more.
	t.startKicker()
	t.mu.Lock()
	proved := th.proving
	th.proving = false
	t.mu.Unlock()
	if proved {
		t.handler.Proved(th.tid)
	}
	th.listening = true
	t.ok("PTRACE_LISTEN", th.tid, request(unix.PTRACE_LISTEN, th.tid, 0, 0))
}

// resume lets the thread go on, to the exit stop of its call if that is awaited.
func (t *Tracer) resume(th *thread, sig unix.Signal) {
	how := unix.PTRACE_CONT
	if th.toExit {
		how = unix.PTRACE_SYSCALL
	}
	t.ok("resume", th.tid, request(how, th.tid, 0, uintptr(sig)))
}
