package ptrace

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// recvHangsUp reports whether SECCOMP_IOCTL_NOTIF_RECV returns when the last task with the filter
// has ended. Before Linux 6.11 it waits forever, and poll(2) has to be asked each time.
var recvHangsUp = sinceLinux(6, 11)

// startNotifications makes a thread receive the listener's notifications.
func (t *Tracer) startNotifications() {
	flags := uint64(notifSyncWakeUp)
	// Linux 6.6; without it, the program and we wake up on different cpus, which is slower.
	unix.Syscall(unix.SYS_IOCTL, uintptr(t.listener), ioctlNotifSetFlags, uintptr(flags))
	go t.notifications()
}

// endNotifications waits for the receiving thread, which ends when no task has the filter.
func (t *Tracer) endNotifications() {
	if t.listener < 0 {
		return
	}
	<-t.notifsEnded
	t.helpers.Wait()
	unix.Close(t.listener)
	t.listener = -1
}

// notifications receives seccomp notifications until no task has the filter any more. It runs on
// a thread of its own, so that a notification, which costs a third of a stop, does not wait for
// one.
func (t *Tracer) notifications() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(t.notifsEnded)
	var n notif
	for {
		if !recvHangsUp() && t.hungUp(-1) {
			return
		}
		n = notif{} // the kernel insists
		switch errno := ioctl(t.listener, ioctlNotifRecv, unsafe.Pointer(&n)); errno {
		case 0:
			t.notified(&n)
		case unix.EINTR:
		case unix.ENOENT:
			// Either the notifying thread was interrupted or killed meanwhile, or nobody is
			// left.
			if t.hungUp(0) {
				return
			}
		default:
			t.fail(&Error{Op: "receive a notification", Err: errno})
			return
		}
	}
}

// hungUp waits for a notification, or for the end, and reports whether there can be none any more.
func (t *Tracer) hungUp(timeout int) bool {
	fds := []unix.PollFd{{Fd: int32(t.listener), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, timeout); err != unix.EINTR {
			return fds[0].Revents&unix.POLLIN == 0 && fds[0].Revents&unix.POLLHUP != 0
		}
	}
}

// notified has the Handler decide a notified call.
func (t *Tracer) notified(n *notif) {
	tid := int(n.pid)
	defer t.guard("handling a notification", &tid)
	t.mu.Lock()
	if t.starting {
		t.mu.Unlock() // a call that we injected
		t.answer(n.id, &Action{Kind: Continue})
		return
	}
	th := t.threads[tid]
	if th == nil || t.err != nil {
		t.mu.Unlock()
		t.alien(n)
		return
	}
	proved := th.proving
	th.proving = false
	th.call = Syscall{Nr: uint64(uint32(n.nr)), Args: n.args, IP: n.ip, Mechanism: Notification}
	th.notifID = n.id
	th.state, th.again, th.interrupted = asking, false, false
	t.mu.Unlock()
	if proved {
		t.handler.Proved(tid)
	}
	t.decideNotif(th)
}

// alien handles a notification by a thread that is not known. If it has not died meanwhile, it
// has escaped us, and everything ends.
func (t *Tracer) alien(n *notif) {
	if ioctl(t.listener, ioctlNotifIDValid, unsafe.Pointer(&n.id)) != 0 {
		return
	}
	t.fail(&Error{Op: "notification", TID: int(n.pid), Err: fmt.Errorf("of system call %d by a thread that is not traced", n.nr)})
	if n.pid != 0 {
		unix.Kill(int(n.pid), unix.SIGKILL)
	}
}

// decideNotif has the Handler decide the call of a thread that waits in a notification, whose
// state is asking, and answers it.
func (t *Tracer) decideNotif(th *thread) {
	for {
		a := t.handler.SyscallEnter(th.tid, &th.call)
		t.mu.Lock()
		if a.Kind == Park && th.again {
			th.again = false
			t.mu.Unlock()
			continue
		}
		id := th.notifID
		th.state = running
		if a.Kind == Park {
			th.state = parkedNotif
		}
		if t.waiting {
			t.idle.Broadcast()
		}
		t.mu.Unlock()
		switch a.Kind {
		case Park:
		case Interrupt:
			t.interrupt(th, id)
		default:
			t.answer(id, &a)
		}
		return
	}
}

// interrupt answers a notification with ERESTARTSYS. The kernel acts on that only where something waits for the
// thread; otherwise the program would see it. That a signal waits for the process does not mean that it is this
// thread that is to take it, so it is made to stop first in any case.
func (t *Tracer) interrupt(th *thread, id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	th.interrupted = true
	if t.kicker != 0 {
		t.requests = append(t.requests, pending{th: th, notif: id})
		t.kick()
		return
	}
	th.cookie = true
	unix.Tgkill(th.tgid, th.tid, unix.SIGSTOP)
	t.answer(id, &Action{Kind: Return, Value: restartSys})
}

// answer sends the Handler's answer.
func (t *Tracer) answer(id uint64, a *Action) {
	r := notifResp{id: id}
	switch a.Kind {
	case Continue:
		r.flags = notifContinue
	case Return:
		if a.Value < 0 && a.Value >= -4095 {
			r.error = int32(a.Value)
		} else {
			r.val = a.Value
		}
	case Kill:
		t.Kill()
		return
	default:
		t.fail(&Error{Op: "Handler.SyscallEnter", Err: fmt.Errorf("action %d for a notification", a.Kind)})
		return
	}
	// ENOENT: the thread was killed meanwhile.
	if errno := ioctl(t.listener, ioctlNotifSend, unsafe.Pointer(&r)); errno != 0 && errno != unix.ENOENT {
		t.fail(&Error{Op: "answer a notification", Err: errno})
	}
}
