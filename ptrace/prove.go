package ptrace

import (
	"golang.org/x/sys/unix"
)

// pending is something that only the tracer thread can do.
type pending struct {
	th     *thread
	unpark bool   // else: interrupt it
	notif  uint64 // a notification, or 0: answer it then so that its call begins again
}

// Prove makes Handler.Proved(tid) be called as soon as thread tid has left the call that it is
// in: it is made to stop, which it can only do outside of calls. Whatever shows earlier that it
// has left (another call, its death) serves as well, and a call that is observed is not interrupted. When tid has died, Handler.Exited says so.
//
// The tracer thread interrupts it with PTRACE_INTERRUPT, which no signal mask can hold back, which
// the program cannot see, and which works in a group stop. Another thread, which may not make
// ptrace requests, has the tracer thread do that, by way of the kicker. Without a kicker it sends
// the thread itself a SIGSTOP, which is swallowed at its delivery; there is one where a thread is in
// a group stop.
func (t *Tracer) Prove(tid int) {
	t.mu.Lock()
	th := t.threads[tid]
	if th == nil || th.proving {
		t.mu.Unlock()
		return
	}
	th.proving = true
	switch {
	case th.state == observed: // the stop at the end of its call is near, and must be the first one
	case unix.Gettid() == t.tid:
		t.mu.Unlock()
		th.nudged = true // only the tracer thread looks at it
		t.ok("PTRACE_INTERRUPT", tid, request(unix.PTRACE_INTERRUPT, tid, 0, 0))
		return
	case t.kicker != 0:
		t.requests = append(t.requests, pending{th: th})
		t.kick()
	default:
		th.cookie = true
		unix.Tgkill(th.tgid, tid, unix.SIGSTOP) // ESRCH: it has died, and Exited comes
	}
	t.mu.Unlock()
}

// resumeCall lets a call that Prove's stop alone has ended with EINTR begin again: epoll_wait, semop and
// others give up for any stop (signal(7)), of which the program is to know nothing. A signal that is
// about to be delivered ends it rightly. It returns false when the thread has died.
func (t *Tracer) resumeCall(th *thread) bool {
	var ret, nr uint64
	if !t.ok("read a result", th.tid, peekUser(th.tid, offRax, &ret)) || !t.ok("read a call's number", th.tid, peekUser(th.tid, offOrigRax, &nr)) {
		return false
	}
	if int64(ret) != -int64(unix.EINTR) || int64(nr) < 0 || signalled(th.tid) {
		return true
	}
	again := int64(restartNoHand)
	return t.ok("repeat a call", th.tid, pokeUser(th.tid, offRax, uint64(again)))
}

// isCookie reports whether the SIGSTOP that is being delivered is Prove's: one that this process
// sent by tgkill to a thread that Prove has sent one to. Two of them may have merged, so they are
// not counted. To a program in a pid namespace of its own our id is 0.
func (t *Tracer) isCookie(th *thread) bool {
	t.mu.Lock()
	cookie := th.cookie
	t.mu.Unlock()
	if !cookie {
		return false
	}
	var si siginfo
	if !t.ok("PTRACE_GETSIGINFO", th.tid, getSiginfo(th.tid, &si)) || si.code != siTkill || int(si.pid) != t.self && si.pid != 0 {
		return false
	}
	t.startKicker() // for the next time
	return true
}

// Unpark presents the parked call of thread tid to the Handler again. When the Handler is just
// being asked about it, and answers Park, it is asked once more: so a wake-up is not lost that
// comes before the thread is parked. When tid is not parked, nothing happens.
func (t *Tracer) Unpark(tid int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	th := t.threads[tid]
	if th == nil {
		return
	}
	switch th.state {
	case asking:
		th.again = true
	case parkedStop:
		if th.again {
			return // requested already
		}
		th.again = true
		t.requests = append(t.requests, pending{th: th, unpark: true})
		if unix.Gettid() != t.tid {
			t.kick()
		}
	case parkedNotif:
		// The caller may hold the Handler's lock.
		th.state = asking
		t.helpers.Add(1)
		go t.again(th)
	}
}

// again has a notified call decided again.
func (t *Tracer) again(th *thread) {
	tid := th.tid // it waits in the kernel: nothing changes it
	defer t.helpers.Done()
	defer t.guard("deciding a parked call", &tid)
	t.decideNotif(th)
}

// drain does what other threads, and the Handler's methods, have asked of the tracer thread.
func (t *Tracer) drain() {
	for {
		t.mu.Lock()
		if len(t.requests) == 0 || t.err != nil {
			t.mu.Unlock()
			return
		}
		batch := t.requests
		t.requests = t.spare[:0]
		t.mu.Unlock()
		for i := range batch {
			t.perform(batch[i])
			batch[i] = pending{}
		}
		t.spare = batch
	}
}

func (t *Tracer) perform(p pending) {
	t.mu.Lock()
	tid := p.th.tid
	if t.threads[tid] != p.th || p.unpark && p.th.state != parkedStop {
		t.mu.Unlock()
		return
	}
	if !p.unpark && p.notif == 0 && (!p.th.proving || p.th.state == observed) {
		t.mu.Unlock() // another stop has shown it meanwhile, or is about to
		return
	}
	if p.unpark {
		p.th.state, p.th.again = asking, false
	}
	t.mu.Unlock()
	t.current = tid
	if p.unpark {
		t.decide(p.th)
		return
	}
	p.th.nudged = true
	if t.ok("PTRACE_INTERRUPT", tid, request(unix.PTRACE_INTERRUPT, tid, 0, 0)) && p.notif != 0 {
		t.answer(p.notif, &Action{Kind: Return, Value: restartSys})
	}
}
